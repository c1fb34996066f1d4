//! How a lane reads: into the scratch buffer, through a channel, or into a pipe.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::End;
use super::descriptors::receive_described;
use super::inspect::Inspector;
use super::lane::{Lane, Way};
use super::leg::Leg;
use super::send::Parked;
use super::workshop::{RECORDS, Workshop};

/// A frame's body is moved through a pipe when at least this much of it is to come.
const WORTH_A_PIPE: u64 = 64 * 1024;

impl Lane {
    /// Reads once, and sends what may pass.
    pub(super) fn receive<I: Inspector>(
        &mut self,
        way: &mut Way<'_>,
        inspector: &mut I,
        workshop: &mut Workshop,
    ) -> Result<usize, End<I::Refusal>> {
        if !way.from.is_plain() {
            self.open_records(way, inspector, workshop)
        } else if self.bulk && self.may_splice(way) {
            self.splice(way, workshop)
        } else {
            self.copy(way, inspector, workshop)
        }
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
        let (got, descriptor) = match read(way.from, free) {
            Ok(read) => read,
            Err(error) => {
                self.frames.hold(&workshop.scratch[..start]);
                self.read_failed(way, error)?;
                return Ok(0);
            }
        };
        if got == 0 {
            self.dry = true;
            self.frames.hold(&workshop.scratch[..start]);
            return Ok(0);
        }
        self.bulk = got == asked;
        // Behind a descriptor there may be more.
        if !self.bulk && !self.ending && descriptor.is_none() {
            self.readable = false;
        }
        if !self.discarding {
            self.judge_and_send(way, inspector, workshop, start + got, descriptor)?;
        }
        Ok(got)
    }

    fn may_splice(&self, way: &Way<'_>) -> bool {
        !self.discarding && way.to.is_plain() && self.frames.unseen() >= WORTH_A_PIPE
    }

    /// Moves bytes that nobody looks at through a pipe. Descriptors among them are closed by the
    /// system.
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
        } else if !self.discarding {
            let start = self.frames.restore(&mut workshop.scratch);
            let (records, room) = (&workshop.records[..got], &mut workshop.scratch[start..]);
            let opened = way.from.open(records, room);
            let opened = opened.map_err(|error| End::Failed(way.side, error))?;
            self.dry = opened.closed;
            self.judge_and_send(way, inspector, workshop, start + opened.len, None)?;
        }
        Ok(got)
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

    /// Everything that was read before has been passed on, since nothing is read otherwise.
    fn read_failed<R>(&mut self, way: &Way<'_>, error: Errno) -> Result<(), End<R>> {
        match error {
            Errno::INTR => {}
            Errno::AGAIN => self.readable = false,
            _ => return Err(End::Failed(way.side, error.into())),
        }
        Ok(())
    }
}

/// Reads what has come, and the descriptor that came with the last byte of it.
fn read(from: &Leg, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    if from.passing {
        return receive_described(&from.socket, buffer);
    }
    let (got, _) = recv(&from.socket, buffer, RecvFlags::DONTWAIT)?;
    Ok((got, None))
}
