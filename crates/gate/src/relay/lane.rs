//! One direction of a session: read from one socket, look at the frames, write to the other.
//!
//! Reading is in `receive.rs`, writing in `send.rs`.

use std::io;
use std::os::fd::OwnedFd;

use super::frames::{Frames, Piece, Then};
use super::inspect::Inspector;
use super::leg::Leg;
use super::send::Parked;
use super::workshop::Workshop;
use super::{End, MAX_EARLY, Side};

/// A lane gives way to the others after this many bytes.
const TURN: usize = 1024 * 1024;

/// How much of what was kept is judged in one go: little, so that a flood of frames that fill the
/// outbox again and again is not copied whole each time.
const BACKLOG_PIECE: usize = 4 * 1024;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing can be done until a socket becomes ready.
    Idle,
    /// There is more to do, but others come first.
    Unfinished,
    /// The source has ended, everything was passed on, and the receiver was told.
    Finished,
}

/// What moves in one direction.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The source may have bytes.
    pub(super) readable: bool,
    /// The source announced that it ends. After a short read this would not be announced again, so
    /// it is read on until it says so itself.
    pub(super) ending: bool,
    /// The last read filled the buffer: more is to be expected.
    pub(super) bulk: bool,
    /// The source gives nothing more.
    pub(super) dry: bool,
    pub(super) finished: bool,
    /// What was read beyond the handshake of the source's channel is still inside it.
    pub(super) fresh: bool,
    /// The source ended without the word of its channel that it would; the receiver's channel is
    /// not given that word either, so that it can tell.
    pub(super) cut_off: bool,
    /// The receiver's channel has been told that nothing more comes.
    pub(super) closing: bool,
    /// The receiver is gone: what still comes is thrown away, so that closing the source does not
    /// reset it before it has read what it was sent.
    pub(super) discarding: bool,
    /// Why nothing is read or judged.
    stop: Stop,
    pub(super) frames: Frames,
    pub(super) parked: Parked,
    /// What was read and is not judged yet, because of a stop.
    backlog: Option<Box<Backlog>>,
    /// Bytes that the receiver took.
    pub(crate) passed: u64,
    /// Frames whose heads were seen.
    pub(crate) frame_count: u64,
}

/// Why a lane neither reads nor judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// The outbox is full.
    Full,
    /// The inspector wants no more.
    Paused,
    /// There is no reason any more, and what was kept comes first.
    Resumed,
}

/// Bytes that were read and wait to be judged.
#[derive(Debug)]
struct Backlog {
    bytes: Vec<u8>,
    /// So many of them have been judged.
    judged: usize,
    /// Came with the last of them.
    descriptor: Option<OwnedFd>,
}

impl Lane {
    pub(crate) fn new() -> Lane {
        Lane {
            readable: true,
            ending: false,
            bulk: false,
            dry: false,
            finished: false,
            fresh: true,
            cut_off: false,
            closing: false,
            discarding: false,
            stop: Stop::No,
            frames: Frames::new(),
            parked: Parked::Nothing,
            backlog: None,
            passed: 0,
            frame_count: 0,
        }
    }

    pub(crate) fn source_is_readable(&mut self) {
        self.readable = true;
    }

    pub(crate) fn source_is_ending(&mut self) {
        self.readable = true;
        self.ending = true;
    }

    /// The receiver is gone; the source is read to its end all the same.
    pub(crate) fn discard(&mut self, workshop: &mut Workshop) {
        self.discarding = true;
        self.release(workshop);
    }

    /// Whether the source has ended or announced that it will.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending || self.dry
    }

    /// Whether the source gives nothing more.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The inspector is to be asked again if it wanted no more.
    pub(crate) fn resume(&mut self) {
        if self.stop == Stop::Paused {
            self.stop = Stop::Resumed;
        }
    }

    /// Whether the lane had stopped and should have another turn.
    pub(crate) fn wants_turn(&self, workshop: &Workshop) -> bool {
        // Where something is parked, the receiver gives the sign.
        matches!(self.parked, Parked::Nothing) && self.may_go_on(workshop)
    }

    /// Whether the lane had stopped and need not any longer.
    fn may_go_on(&self, workshop: &Workshop) -> bool {
        match self.stop {
            Stop::No | Stop::Paused => false,
            Stop::Full => !workshop.outbox.is_blocking(),
            Stop::Resumed => true,
        }
    }

    /// Gives back what the lane holds.
    pub(crate) fn release(&mut self, workshop: &mut Workshop) {
        self.release_parked(workshop);
        self.stop = Stop::No;
        if let Some(backlog) = self.backlog.take() {
            workshop.parked -= backlog.bytes.len();
        }
    }

    /// Moves bytes until a socket is not ready, the source ends, or the turn is over.
    pub(crate) fn run<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<Turn, End<I::Refusal>> {
        let mut moved = 0;
        loop {
            if !self.flush(way, workshop)? || !self.deliver(way, workshop)? {
                return Ok(Turn::Idle);
            }
            if self.stop != Stop::No {
                if !self.may_go_on(workshop) {
                    return Ok(Turn::Idle);
                }
                self.judge_backlog(way, inspector, workshop)?;
                continue;
            }
            if self.dry {
                if self.send_held(way, workshop)? {
                    continue;
                }
                if self.owes_goodbye(way) {
                    self.say_goodbye(way, workshop)?;
                    continue;
                }
                return Ok(self.finish(way));
            }
            if !self.readable {
                return Ok(Turn::Idle);
            }
            if moved >= TURN {
                return Ok(Turn::Unfinished);
            }
            moved += self.receive(way, inspector, workshop)?;
        }
    }

    /// Passes on bytes that were read before the session came here.
    pub(crate) fn run_early<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        early: &[u8],
    ) -> Result<(), End<I::Refusal>> {
        if early.len() > MAX_EARLY {
            let too_much = io::Error::other("more early bytes than a handover may bring");
            return Err(End::Failed(way.side, too_much));
        }
        workshop.scratch[..early.len()].copy_from_slice(early);
        self.judge_and_send(way, inspector, workshop, early.len(), None)
    }

    /// Judges the first `len` bytes of the scratch buffer and sends what may pass. `descriptor` came
    /// with the last of them; it is closed when it belongs to no frame. After a stop the rest is kept.
    pub(super) fn judge_and_send<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        len: usize,
        mut descriptor: Option<OwnedFd>,
    ) -> Result<(), End<I::Refusal>> {
        let judged = self.judge(way, inspector, workshop, len, &mut descriptor)?;
        if judged < len {
            workshop.parked += len - judged;
            self.backlog = Some(Box::new(Backlog {
                bytes: workshop.scratch[judged..len].to_vec(),
                judged: 0,
                descriptor,
            }));
        }
        Ok(())
    }

    /// Likewise, and tells how many bytes were judged: all of them if there was no stop.
    fn judge<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        len: usize,
        descriptor: &mut Option<OwnedFd>,
    ) -> Result<usize, End<I::Refusal>> {
        let mut at = 0;
        loop {
            workshop.starts.clear();
            let piece = Piece {
                side: way.side,
                bytes: &workshop.scratch[at..len],
                described: descriptor.is_some(),
                passing: way.to.passing,
            };
            let out = &mut workshop.outbox;
            let passed = if way.to.is_plain() {
                self.frames.pass(inspector, out, &piece, |_| {})
            } else {
                let note = |start| workshop.starts.push(start);
                self.frames.pass(inspector, out, &piece, note)
            };
            self.frame_count += passed.frames;
            self.send_or_park(way, workshop, at..at + passed.len)?;
            at += passed.used;
            match passed.then {
                Then::Done => return Ok(len),
                Then::Rest => {}
                Then::Outbox => self.send_outbox(way, workshop)?,
                Then::Descriptor => {
                    let byte = workshop.scratch[at - 1];
                    self.send_described(way, workshop, byte, descriptor.take())?;
                }
                Then::Pause => {
                    self.stop = Stop::Paused;
                    return Ok(at);
                }
                Then::Full => {
                    self.stop = Stop::Full;
                    return Ok(at);
                }
                Then::End(end) => return Err(end),
            }
        }
    }

    /// Goes on after a stop, with a piece of what was kept.
    fn judge_backlog<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<(), End<I::Refusal>> {
        self.stop = Stop::No;
        let Some(mut backlog) = self.backlog.take() else {
            return self.judge_and_send(way, inspector, workshop, 0, None);
        };
        let total = backlog.bytes.len();
        let held = self.frames.restore(&mut workshop.scratch);
        let end = total.min(backlog.judged + BACKLOG_PIECE);
        let piece = &backlog.bytes[backlog.judged..end];
        let len = held + piece.len();
        workshop.scratch[held..len].copy_from_slice(piece);
        let mut nothing = None;
        let descriptor = if end == total {
            &mut backlog.descriptor
        } else {
            &mut nothing
        };
        let judged = self.judge(way, inspector, workshop, len, descriptor);
        // What was held came from here, too.
        backlog.judged = end - judged.as_ref().map_or(0, |judged| len - judged);
        if judged.is_err() || backlog.judged == total {
            workshop.parked -= total;
        } else {
            self.backlog = Some(backlog);
            if self.stop == Stop::No {
                self.stop = Stop::Resumed;
            }
        }
        judged.map(drop)
    }
}

/// From which socket to which, and on which side the source is.
pub(crate) struct Way<'a> {
    pub(crate) side: Side,
    pub(crate) from: &'a mut Leg,
    pub(crate) to: &'a mut Leg,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::relay::{Outbox, Verdict};

    struct NoFrames;

    impl Inspector for NoFrames {
        type Refusal = String;
        type Tally = ();

        fn inspect(&mut self, _side: Side, _head: &[u8], _out: &mut Outbox) -> Verdict<String> {
            Verdict::PassAll
        }
    }

    #[test]
    fn what_was_parked_for_a_receiver_that_fails_is_no_longer_counted() {
        let (mut sender, from) = UnixStream::pair().unwrap();
        let (to, receiver) = UnixStream::pair().unwrap();
        socket2::SockRef::from(&to)
            .set_send_buffer_size(4096)
            .unwrap();
        sender.write_all(&[7; 100_000]).unwrap();
        let mut way = Way {
            side: Side::Client,
            from: &mut from.into(),
            to: &mut to.into(),
        };
        let (mut lane, mut workshop) = (Lane::new(), Workshop::new().unwrap());
        assert_eq!(
            lane.run(&mut way, &mut NoFrames, &mut workshop).unwrap(),
            Turn::Idle
        );
        assert!(workshop.parked > 0);
        drop(receiver);
        let end = lane
            .run(&mut way, &mut NoFrames, &mut workshop)
            .unwrap_err();
        assert!(matches!(end, End::Failed(Side::Server, _)), "{end:?}");
        lane.discard(&mut workshop);
        assert_eq!(workshop.parked, 0);
    }
}
