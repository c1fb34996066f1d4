//! What is at the number of the program's socket while that is being connected: one end of a pair of unix
//! sockets, which is neither readable nor writable until the other end, ours, changes that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_setfl, fstat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown,
    socketpair, sockopt,
};

use super::places;

/// The near end is filled in steps of this many bytes.
const FILLING: usize = 1024;

/// A pair. The near end goes to the program, the far one stays.
pub(super) struct StandIn {
    pub(super) near: OwnedFd,
    pub(super) far: Far,
}

/// Our end. It hangs up when no process has the near one any more.
pub(super) struct Far {
    socket: OwnedFd,
    /// By this /proc shows the near end.
    inode: u64,
    /// How many bytes lie in it that nobody is to read.
    filled: usize,
}

impl StandIn {
    /// Makes one that blocks, or does not, as the socket whose flags these are.
    pub(super) fn new(flags: OFlags) -> Result<StandIn, Errno> {
        let cloexec = SocketFlags::CLOEXEC;
        let (near, socket) = socketpair(AddressFamily::UNIX, SocketType::STREAM, cloexec, None)?;
        // It becomes the smallest that the kernel gives.
        sockopt::set_socket_send_buffer_size(&near, 1)?;
        let filled = fill(&near)?;
        fcntl_setfl(&near, flags & OFlags::NONBLOCK)?;
        let inode = fstat(&near)?.st_ino;
        let far = Far {
            socket,
            inode,
            filled,
        };
        Ok(StandIn { near, far })
    }
}

fn fill(near: &OwnedFd) -> Result<usize, Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut filled = 0;
    loop {
        match retry_on_intr(|| send(near, &[0; FILLING], flags)) {
            Ok(count) => filled += count,
            Err(Errno::AGAIN) => return Ok(filled),
            Err(errno) => return Err(errno),
        }
    }
}

impl AsFd for Far {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Far {
    /// Makes the near end writable, as a socket is that has been connected.
    pub(super) fn release(&mut self) {
        let mut buffer = [0; FILLING];
        while self.filled > 0 {
            let room = &mut buffer[..self.filled.min(FILLING)];
            match retry_on_intr(|| recv(&self.socket, &mut *room, RecvFlags::DONTWAIT)) {
                Ok((count @ 1.., _)) => self.filled -= count,
                _ => return,
            }
        }
    }

    /// Breaks the near end, as a socket is that could not be connected: what is not read there is an
    /// error.
    pub(super) fn fail(self) {
        drop(self);
    }

    /// Whether a process has the near end at a number of its own. If not, and it is open still, then for a
    /// thread that waits on it.
    pub(super) fn is_somewhere(&self) -> bool {
        places::is_anywhere(self.inode)
    }

    /// Wakes those who wait for something to read at the near end.
    pub(super) fn end(self) {
        let _ = shutdown(&self.socket, Shutdown::Write);
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

/// The cookie of an end.
pub(super) fn cookie(end: impl AsFd) -> Result<u64, Errno> {
    sockopt::socket_cookie(end)
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn events(near: impl AsFd) -> PollFlags {
        let mut ready = [PollFd::new(&near, PollFlags::IN | PollFlags::OUT)];
        poll(&mut ready, Some(&Timespec::default())).unwrap();
        ready[0].revents()
    }

    #[test]
    fn it_is_ready_for_nothing_until_it_is_released() {
        let StandIn { near, mut far } = StandIn::new(OFlags::NONBLOCK).unwrap();
        assert_eq!(events(&near), PollFlags::empty());
        let early = send(&near, b"early", SendFlags::NOSIGNAL);
        assert_eq!(early, Err(Errno::AGAIN));
        far.release();
        assert_eq!(events(&near), PollFlags::OUT);
        assert_eq!(events(&far), PollFlags::OUT, "nothing is left to read");
    }

    #[test]
    fn a_failure_is_an_error() {
        let StandIn { near, far } = StandIn::new(OFlags::NONBLOCK).unwrap();
        far.fail();
        let failed = PollFlags::OUT | PollFlags::ERR | PollFlags::HUP;
        assert!(events(&near).contains(failed));
    }

    #[test]
    fn it_is_known_when_nobody_has_it_any_more() {
        let StandIn { near, mut far } = StandIn::new(OFlags::empty()).unwrap();
        far.release();
        let another = near.try_clone().unwrap();
        drop(near);
        assert!(!events(&far).contains(PollFlags::HUP));
        drop(another);
        assert!(events(&far).contains(PollFlags::HUP));
    }
}
