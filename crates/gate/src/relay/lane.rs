//! One direction of a session: read from one socket, look at the frames, write to the other.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::frames::Frames;
use super::inspect::Inspector;
use super::pipe::{Pipe, PipePool};
use super::{End, MAX_EARLY, Side};

/// What the lanes of one loop share.
pub(crate) struct Workshop {
    pub(crate) scratch: Box<[u8]>,
    pub(crate) pipes: PipePool,
    /// Bytes that all lanes of this loop hold in memory because their receivers are full.
    pub(crate) parked: usize,
}

/// The scratch buffer's size, in bytes. Smaller ones cost bulk throughput, larger ones the cache.
const SCRATCH: usize = 256 * 1024;

/// Above this many parked bytes in a loop, reads become small, so that each further stalled
/// receiver costs little.
const PARKED_BUDGET: usize = 32 * 1024 * 1024;

/// The size of a read when the budget is used up.
const FRUGAL_READ: usize = 4 * 1024;

/// A lane gives way to the others after this many bytes.
const TURN: usize = 1024 * 1024;

/// A frame's body is moved through a pipe when at least this much of it is to come.
const WORTH_A_PIPE: u64 = 64 * 1024;

impl Workshop {
    pub(crate) fn new() -> io::Result<Workshop> {
        let scratch = vec![0; SCRATCH].into_boxed_slice();
        Ok(Workshop {
            scratch,
            pipes: PipePool::new()?,
            parked: 0,
        })
    }

    fn read_size(&self) -> usize {
        if self.parked < PARKED_BUDGET {
            self.scratch.len()
        } else {
            FRUGAL_READ
        }
    }
}

/// Bytes that were read and that the receiver has not taken yet.
#[derive(Debug)]
enum Parked {
    Nothing,
    Bytes { bytes: Box<[u8]>, sent: usize },
    Piped(Box<Pipe>),
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
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
    readable: bool,
    /// The source announced that it ends. After a short read this would not be announced again, so
    /// it is read on until it says so itself.
    ending: bool,
    /// The last read filled the buffer: more is to be expected.
    bulk: bool,
    /// The source gives nothing more.
    dry: bool,
    finished: bool,
    /// The receiver is gone: what still comes is thrown away, so that closing the source does not
    /// reset it before it has read what it was sent.
    discarding: bool,
    frames: Frames,
    parked: Parked,
    /// Bytes that the receiver took.
    pub(crate) passed: u64,
    /// Frames whose heads were seen.
    pub(crate) frame_count: u64,
}

impl Lane {
    pub(crate) fn new() -> Lane {
        Lane {
            readable: true,
            ending: false,
            bulk: false,
            dry: false,
            finished: false,
            discarding: false,
            frames: Frames::new(),
            parked: Parked::Nothing,
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

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Gives back what the lane holds.
    pub(crate) fn release(&mut self, workshop: &mut Workshop) {
        match std::mem::replace(&mut self.parked, Parked::Nothing) {
            Parked::Nothing => {}
            Parked::Bytes { bytes, .. } => workshop.parked -= bytes.len(),
            Parked::Piped(pipe) => workshop.pipes.give_back(pipe),
        }
    }

    /// Moves bytes until a socket is not ready, the source ends, or the turn is over.
    pub(crate) fn run<I: Inspector>(
        &mut self,
        way: &Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<Turn, End<I::Refusal>> {
        let mut moved = 0;
        loop {
            if !self.flush(way, workshop)? {
                return Ok(Turn::Idle);
            }
            if self.dry {
                return Ok(self.finish(way));
            }
            if !self.readable {
                return Ok(Turn::Idle);
            }
            if moved >= TURN {
                return Ok(Turn::Unfinished);
            }
            moved += if self.bulk && !self.discarding && self.frames.unseen() >= WORTH_A_PIPE {
                self.splice(way, workshop)?
            } else {
                self.copy(way, inspector, workshop)?
            };
        }
    }

    /// Passes on bytes that were read before the session came here.
    pub(crate) fn run_early<I: Inspector>(
        &mut self,
        way: &Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        early: &[u8],
    ) -> Result<(), End<I::Refusal>> {
        if early.len() > MAX_EARLY {
            let too_much = io::Error::other("more early bytes than a handover may bring");
            return Err(End::Failed(way.side, too_much));
        }
        workshop.scratch[..early.len()].copy_from_slice(early);
        self.judge_and_send(way, inspector, workshop, early.len())
    }

    /// Reads into the scratch buffer behind what was held, and sends what may pass.
    fn copy<I: Inspector>(
        &mut self,
        way: &Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<usize, End<I::Refusal>> {
        let size = workshop.read_size();
        let start = self.frames.restore(&mut workshop.scratch);
        let free = &mut workshop.scratch[start..size];
        let asked = free.len();
        let got = match recv(way.from, free, RecvFlags::DONTWAIT) {
            Ok((got, _)) => got,
            Err(error) => {
                self.frames.hold(&workshop.scratch[..start]);
                self.read_failed(way, error)?;
                return Ok(0);
            }
        };
        if got == 0 {
            self.dry = true;
            // The stream ends inside a head: the receiver may see that for itself.
            self.send_or_park(way, workshop, start)?;
            return Ok(0);
        }
        self.bulk = got == asked;
        if !self.bulk && !self.ending {
            self.readable = false;
        }
        if !self.discarding {
            self.judge_and_send(way, inspector, workshop, start + got)?;
        }
        Ok(got)
    }

    fn judge_and_send<I: Inspector>(
        &mut self,
        way: &Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        len: usize,
    ) -> Result<(), End<I::Refusal>> {
        let passed = self
            .frames
            .pass(inspector, way.side, &workshop.scratch[..len]);
        self.frame_count += passed.frames;
        self.send_or_park(way, workshop, passed.len)?;
        passed.end.map_or(Ok(()), Err)
    }

    /// Sends the first `len` bytes of the scratch buffer; what the receiver does not take waits.
    fn send_or_park<R>(
        &mut self,
        way: &Way<'_>,
        workshop: &mut Workshop,
        len: usize,
    ) -> Result<(), End<R>> {
        let sent = self.send(way, &workshop.scratch[..len])?;
        if sent < len {
            let bytes: Box<[u8]> = workshop.scratch[sent..len].into();
            workshop.parked += bytes.len();
            self.parked = Parked::Bytes { bytes, sent: 0 };
        }
        Ok(())
    }

    /// Moves bytes that nobody looks at through a pipe.
    fn splice<R>(&mut self, way: &Way<'_>, workshop: &mut Workshop) -> Result<usize, End<R>> {
        let Some(mut pipe) = workshop.pipes.lend() else {
            self.bulk = false;
            return Ok(0);
        };
        let most = usize::try_from(self.frames.unseen()).unwrap_or(usize::MAX);
        let filled = pipe.fill(way.from, most);
        if let Ok(count @ 1..) = filled {
            self.frames.skip(count as u64);
            self.parked = Parked::Piped(pipe);
            return Ok(count);
        }
        workshop.pipes.give_back(pipe);
        self.bulk = false;
        match filled {
            Ok(_) => self.dry = true,
            Err(error) => self.read_failed(way, error)?,
        }
        Ok(0)
    }

    /// Everything that was read before has been passed on, since nothing is read otherwise.
    fn read_failed<R>(&mut self, way: &Way<'_>, error: Errno) -> Result<(), End<R>> {
        match error {
            Errno::INTR => {}
            Errno::AGAIN => self.readable = false,
            _ => return Err(End::Failed(way.side, error.into())),
        }
        Ok(())
    }

    /// Sends what is parked; true when nothing is left. What a receiver that fails did not take is
    /// given up.
    fn flush<R>(&mut self, way: &Way<'_>, workshop: &mut Workshop) -> Result<bool, End<R>> {
        let mut parked = std::mem::replace(&mut self.parked, Parked::Nothing);
        let flushed = match &mut parked {
            Parked::Nothing => return Ok(true),
            Parked::Bytes { bytes, sent } => self.send(way, &bytes[*sent..]).map(|count| {
                *sent += count;
                *sent == bytes.len()
            }),
            Parked::Piped(pipe) => self.drain(way, pipe),
        };
        self.parked = parked;
        if !matches!(flushed, Ok(false)) {
            self.release(workshop);
        }
        flushed
    }

    /// Sends what is in the pipe; true when nothing is left.
    fn drain<R>(&mut self, way: &Way<'_>, pipe: &mut Pipe) -> Result<bool, End<R>> {
        while pipe.filled > 0 {
            match pipe.drain(way.to) {
                Ok(count) => self.passed += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(End::Failed(way.side.other(), error.into())),
            }
        }
        Ok(true)
    }

    /// Sends as much as the receiver takes at once.
    fn send<R>(&mut self, way: &Way<'_>, bytes: &[u8]) -> Result<usize, End<R>> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(
                way.to,
                &bytes[sent..],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(End::Failed(way.side.other(), error.into())),
            }
        }
        self.passed += sent as u64;
        Ok(sent)
    }

    /// Tells the receiver that nothing more will come.
    pub(crate) fn finish(&mut self, way: &Way<'_>) -> Turn {
        if !self.finished {
            self.dry = true;
            self.finished = true;
            // It fails only when the receiver has gone already, which its own lane notices.
            let _ = shutdown(way.to, Shutdown::Write);
        }
        Turn::Finished
    }
}

/// From which socket to which, and on which side the source is.
pub(crate) struct Way<'a> {
    pub(crate) side: Side,
    pub(crate) from: &'a OwnedFd,
    pub(crate) to: &'a OwnedFd,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::relay::Verdict;

    struct NoFrames;

    impl Inspector for NoFrames {
        type Refusal = String;
        type Tally = ();

        fn inspect(&mut self, _side: Side, _head: &[u8]) -> Verdict<String> {
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
        let way = Way {
            side: Side::Client,
            from: &from.into(),
            to: &to.into(),
        };
        let (mut lane, mut workshop) = (Lane::new(), Workshop::new().unwrap());
        assert_eq!(
            lane.run(&way, &mut NoFrames, &mut workshop).unwrap(),
            Turn::Idle
        );
        assert!(workshop.parked > 0);
        drop(receiver);
        let end = lane.run(&way, &mut NoFrames, &mut workshop).unwrap_err();
        assert!(matches!(end, End::Failed(Side::Server, _)), "{end:?}");
        lane.discard(&mut workshop);
        assert_eq!(workshop.parked, 0);
    }
}
