//! For programs that use their socket without having asked whether it is connected: what they write to
//! the stand-in is carried to the socket, and what comes from there back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

/// Most bytes that are under way in one direction.
const ROOM: usize = 32 * 1024;

/// Both directions.
pub(super) struct Relay {
    far: OwnedFd,
    socket: OwnedFd,
    /// Whether another process has the socket, for which nothing may be ended.
    is_shared: bool,
    out: Lane,
    back: Lane,
}

/// One direction.
#[derive(Default)]
struct Lane {
    bytes: Vec<u8>,
    sent: usize,
    has_ended: bool,
}

impl Relay {
    pub(super) fn new(far: OwnedFd, socket: OwnedFd, is_shared: bool) -> Relay {
        Relay {
            far,
            socket,
            is_shared,
            out: Lane::default(),
            back: Lane::default(),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What is waited for, on our end of the stand-in and on the socket.
    pub(super) fn awaited(&self) -> [PollFd<'_>; 2] {
        [
            PollFd::new(&self.far, self.out.wants_in() | self.back.wants_out()),
            PollFd::new(&self.socket, self.back.wants_in() | self.out.wants_out()),
        ]
    }

    /// Carries what can be carried now, given what was heard of both ends; `false` when it is over, also
    /// because one end is broken: so is the other then without this process.
    pub(super) fn drive(&mut self, heard: [PollFlags; 2]) -> bool {
        let gone = PollFlags::HUP | PollFlags::ERR;
        let [program_is_gone, target_is_gone] = heard.map(|events| events.intersects(gone));
        let (far, socket) = (self.far.as_fd(), self.socket.as_fd());
        if self.out.drive(far, socket, !self.is_shared).is_err()
            || (program_is_gone && self.out.has_ended)
            || self.back.drive(socket, far, true).is_err()
        {
            return false;
        }
        !(self.back.has_ended && (self.out.has_ended || target_is_gone))
    }
}

impl Lane {
    fn wants_in(&self) -> PollFlags {
        if self.bytes.is_empty() && !self.has_ended {
            PollFlags::IN
        } else {
            PollFlags::empty()
        }
    }

    fn wants_out(&self) -> PollFlags {
        if self.bytes.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        }
    }

    fn drive(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        ends_it: bool,
    ) -> Result<(), Errno> {
        match self.carry(from, to, ends_it) {
            Err(Errno::AGAIN) => Ok(()),
            carried => carried,
        }
    }

    fn carry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        ends_it: bool,
    ) -> Result<(), Errno> {
        while !self.has_ended {
            while self.sent < self.bytes.len() {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                self.sent += retry_on_intr(|| send(to, &self.bytes[self.sent..], flags))?;
            }
            self.bytes.resize(ROOM, 0);
            self.sent = 0;
            let read = retry_on_intr(|| recv(from, &mut self.bytes[..], RecvFlags::DONTWAIT));
            self.bytes
                .truncate(read.as_ref().map_or(0, |(count, _)| *count));
            if read?.0 == 0 {
                self.has_ended = true;
                if ends_it {
                    shutdown(to, Shutdown::Write)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_and_ends_are_carried_both_ways() {
        let (mut program, far) = UnixStream::pair().unwrap();
        let (socket, mut target) = UnixStream::pair().unwrap();
        let mut relay = Relay::new(far.into(), socket.into(), false);
        program.write_all(b"question").unwrap();
        target.write_all(b"answer").unwrap();
        program.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(relay.drive([PollFlags::IN; 2]));
        let mut heard = String::new();
        target.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "question");
        drop(target);
        assert!(!relay.drive([PollFlags::IN; 2]));
        drop(relay);
        heard.clear();
        program.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "answer");
    }

    #[test]
    fn what_another_process_uses_is_neither_read_nor_ended() {
        let (program, far) = UnixStream::pair().unwrap();
        let (socket, mut target) = UnixStream::pair().unwrap();
        let mut others = socket.try_clone().unwrap();
        let mut relay = Relay::new(far.into(), socket.into(), true);
        target.write_all(b"answer").unwrap();
        drop(program);
        assert!(!relay.drive([PollFlags::IN | PollFlags::HUP, PollFlags::empty()]));
        drop(relay);
        others.write_all(b"question").unwrap();
        let mut heard = [0; 6];
        others.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"answer");
    }
}
