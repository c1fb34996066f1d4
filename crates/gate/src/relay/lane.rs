//! One direction of a session: read from one socket, look at the frames, write to the other.

use std::io;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::frames::Frames;
use super::inspect::Inspector;
use super::leg::Leg;
use super::pipe::{Pipe, PipePool};
use super::{End, MAX_EARLY, Side};

/// What the lanes of one loop share.
pub(crate) struct Workshop {
    pub(crate) scratch: Box<[u8]>,
    /// Where frames begin in the scratch buffer, if they are to be sealed.
    starts: Vec<usize>,
    /// Records as they were read; empty until the first session with TLS.
    records: Vec<u8>,
    /// Records about to be sent.
    sealed: Vec<u8>,
    pub(crate) pipes: PipePool,
    /// Bytes that all lanes of this loop hold in memory because their receivers are full.
    pub(crate) parked: usize,
}

/// The scratch buffer's size, in bytes. Smaller ones cost bulk throughput, larger ones the cache.
const SCRATCH: usize = 256 * 1024;

/// The most bytes of TLS records that are read at once: four of the longest.
const RECORDS: usize = 64 * 1024;

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
            starts: Vec::new(),
            records: Vec::new(),
            sealed: Vec::new(),
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
    Bytes { bytes: Vec<u8>, sent: usize },
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
    /// What was read beyond the handshake of the source's channel is still inside it.
    fresh: bool,
    /// The source ended without the word of its channel that it would; the receiver's channel is
    /// not given that word either, so that it can tell.
    cut_off: bool,
    /// The receiver's channel has been told that nothing more comes.
    closing: bool,
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
            fresh: true,
            cut_off: false,
            closing: false,
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
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<Turn, End<I::Refusal>> {
        let mut moved = 0;
        loop {
            if !self.flush(way, workshop)? {
                return Ok(Turn::Idle);
            }
            if self.dry {
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
            moved += if !way.from.is_plain() {
                self.open_records(way, inspector, workshop)?
            } else if self.bulk && self.may_splice(way) {
                self.splice(way, workshop)?
            } else {
                self.copy(way, inspector, workshop)?
            };
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
        self.judge_and_send(way, inspector, workshop, early.len())
    }

    /// Reads into the scratch buffer behind what was held, and sends what may pass.
    fn copy<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<usize, End<I::Refusal>> {
        let size = workshop.read_size();
        let start = self.frames.restore(&mut workshop.scratch);
        let free = &mut workshop.scratch[start..size];
        let asked = free.len();
        let got = match recv(&way.from.socket, free, RecvFlags::DONTWAIT) {
            Ok((got, _)) => got,
            Err(error) => {
                self.frames.hold(&workshop.scratch[..start]);
                self.read_failed(way, error)?;
                return Ok(0);
            }
        };
        if got == 0 {
            self.dry = true;
            self.frames.hold(&workshop.scratch[..start]);
            self.send_held(way, workshop)?;
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

    fn may_splice(&self, way: &Way<'_>) -> bool {
        !self.discarding && way.to.is_plain() && self.frames.unseen() >= WORTH_A_PIPE
    }

    /// Reads records of the source's channel, opens them behind what was held, and sends what may
    /// pass.
    fn open_records<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<usize, End<I::Refusal>> {
        let got = match self.receive_records(way, workshop) {
            Ok(got) => got,
            Err(error) => {
                self.read_failed(way, error)?;
                return Ok(0);
            }
        };
        if self.dry {
            self.cut_off = true;
            self.send_held(way, workshop)?;
        } else if !self.discarding {
            let start = self.frames.restore(&mut workshop.scratch);
            let (records, room) = (&workshop.records[..got], &mut workshop.scratch[start..]);
            let opened = way.from.open(records, room);
            let opened = opened.map_err(|error| End::Failed(way.side, error))?;
            self.judge_and_send(way, inspector, workshop, start + opened.len)?;
            if opened.closed {
                self.dry = true;
                self.send_held(way, workshop)?;
            }
        }
        Ok(got)
    }

    /// The stream ends inside a head: the receiver may see that for itself.
    fn send_held<R>(&mut self, way: &mut Way<'_>, workshop: &mut Workshop) -> Result<(), End<R>> {
        let held = self.frames.restore(&mut workshop.scratch);
        workshop.starts.clear();
        self.send_or_park(way, workshop, held)
    }

    /// Reads into the buffer for records; nothing the first time, when there may be some inside the
    /// channel.
    fn receive_records(&mut self, way: &Way<'_>, workshop: &mut Workshop) -> Result<usize, Errno> {
        if std::mem::take(&mut self.fresh) {
            return Ok(0);
        }
        let asked = workshop.read_size().min(RECORDS);
        workshop.records.resize(RECORDS, 0);
        let free = &mut workshop.records[..asked];
        let (got, _) = recv(&way.from.socket, free, RecvFlags::DONTWAIT)?;
        self.dry = got == 0;
        if got < asked && !self.ending {
            self.readable = false;
        }
        Ok(got)
    }

    fn judge_and_send<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
        len: usize,
    ) -> Result<(), End<I::Refusal>> {
        workshop.starts.clear();
        let bytes = &workshop.scratch[..len];
        let passed = if way.to.is_plain() {
            self.frames.pass(inspector, way.side, bytes, |_| {})
        } else {
            let note = |start| workshop.starts.push(start);
            self.frames.pass(inspector, way.side, bytes, note)
        };
        self.frame_count += passed.frames;
        self.send_or_park(way, workshop, passed.len)?;
        passed.end.map_or(Ok(()), Err)
    }

    /// Sends the first `len` bytes of the scratch buffer, sealed if the receiver has a channel; what
    /// it does not take waits.
    ///
    /// A record has bytes of one frame only: a peer that waits on its socket between frames, as libpcp
    /// does, would not see a second one that it has already taken out of the socket with the first.
    fn send_or_park<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
        len: usize,
    ) -> Result<(), End<R>> {
        let Some(channel) = &mut way.to.channel else {
            let sent = self.send(way, &workshop.scratch[..len])?;
            self.passed += sent as u64;
            self.park(&workshop.scratch[sent..len], &mut workshop.parked);
            return Ok(());
        };
        if len > 0 {
            workshop.sealed.clear();
            let mut sealed = 0;
            for end in workshop.starts.iter().copied().chain([len]) {
                let frame = workshop.scratch.get(sealed..end).unwrap_or_default();
                channel
                    .seal(frame, &mut workshop.sealed)
                    .map_err(|error| broken(way.side.other(), error))?;
                sealed = end;
            }
            self.passed += len as u64;
            self.send_sealed(way, workshop)?;
        }
        Ok(())
    }

    /// Sends the records that were made last, behind those that wait.
    fn send_sealed<R>(&mut self, way: &Way<'_>, workshop: &mut Workshop) -> Result<(), End<R>> {
        let sent = match self.parked {
            Parked::Nothing => self.send(way, &workshop.sealed)?,
            _ => 0,
        };
        self.park(&workshop.sealed[sent..], &mut workshop.parked);
        Ok(())
    }

    /// Keeps bytes, behind those that wait, until the receiver takes them.
    fn park(&mut self, rest: &[u8], total: &mut usize) {
        if rest.is_empty() {
            return;
        }
        *total += rest.len();
        match &mut self.parked {
            Parked::Bytes { bytes, .. } => bytes.extend_from_slice(rest),
            // Nothing is spliced to a receiver for whom anything else could be parked.
            Parked::Nothing | Parked::Piped(_) => {
                self.parked = Parked::Bytes {
                    bytes: rest.to_vec(),
                    sent: 0,
                };
            }
        }
    }

    /// Sends what the receiver's channel itself has to say. rustls bounds it: it answers no flood.
    pub(crate) fn answer<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<(), End<R>> {
        let Some(channel) = &mut way.to.channel else {
            return Ok(());
        };
        workshop.sealed.clear();
        channel
            .take_answer(&mut workshop.sealed)
            .map_err(|error| broken(way.side.other(), error))?;
        if self.discarding || self.finished {
            return Ok(());
        }
        self.send_sealed(way, workshop)
    }

    fn owes_goodbye(&self, way: &Way<'_>) -> bool {
        !way.to.is_plain() && !self.closing && !self.cut_off && !self.discarding
    }

    /// Tells the receiver's channel that nothing more comes.
    fn say_goodbye<R>(&mut self, way: &mut Way<'_>, workshop: &mut Workshop) -> Result<(), End<R>> {
        self.closing = true;
        if let Some(channel) = &mut way.to.channel {
            workshop.sealed.clear();
            channel
                .close(&mut workshop.sealed)
                .map_err(|error| broken(way.side.other(), error))?;
            self.send_sealed(way, workshop)?;
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
        let filled = pipe.fill(&way.from.socket, most);
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
                if way.to.is_plain() {
                    self.passed += count as u64;
                }
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
            match pipe.drain(&way.to.socket) {
                Ok(count) => self.passed += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(End::Failed(way.side.other(), error.into())),
            }
        }
        Ok(true)
    }

    /// Sends as much as the receiver takes at once.
    fn send<R>(&self, way: &Way<'_>, bytes: &[u8]) -> Result<usize, End<R>> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(
                &way.to.socket,
                &bytes[sent..],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(End::Failed(way.side.other(), error.into())),
            }
        }
        Ok(sent)
    }

    /// Tells the receiver that nothing more will come.
    pub(crate) fn finish(&mut self, way: &Way<'_>) -> Turn {
        if !self.finished {
            self.dry = true;
            self.finished = true;
            // It fails only when the receiver has gone already, which its own lane notices.
            let _ = shutdown(&way.to.socket, Shutdown::Write);
        }
        Turn::Finished
    }
}

/// From which socket to which, and on which side the source is.
pub(crate) struct Way<'a> {
    pub(crate) side: Side,
    pub(crate) from: &'a mut Leg,
    pub(crate) to: &'a mut Leg,
}

/// A channel that can no longer be used.
fn broken<R>(side: Side, error: rustls::Error) -> End<R> {
    End::Failed(side, io::Error::new(io::ErrorKind::InvalidData, error))
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
