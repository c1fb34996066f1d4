//! What is at the number of the program's socket while that is being connected: one end of a pair of unix
//! sockets, which is neither readable nor writable until the other end, ours, changes that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt,
};

/// So much fills the smallest buffer that the kernel gives (unix(7)).
const FILLING: [u8; 2048] = [0; 2048];

/// A pair. The near end goes to the program, the far one stays.
pub(super) struct StandIn {
    pub(super) near: OwnedFd,
    pub(super) far: OwnedFd,
}

impl StandIn {
    pub(super) fn new() -> Result<StandIn, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_send_buffer_size(&near, 1)?;
        retry_on_intr(|| send(&near, &FILLING, SendFlags::NOSIGNAL))?;
        Ok(StandIn { near, far })
    }
}

/// Makes the near end writable, as a socket is that has been connected.
pub(super) fn release(far: BorrowedFd<'_>) {
    let mut filling = [0; FILLING.len()];
    let _ = retry_on_intr(|| recv(far, &mut filling[..], RecvFlags::DONTWAIT));
}

/// Breaks the near end, as a socket is that could not be connected: what is not read there is an error.
pub(super) fn fail(far: OwnedFd) {
    drop(far);
}

/// The cookie of an end.
pub(super) fn cookie(end: impl AsFd) -> Result<u64, Errno> {
    sockopt::socket_cookie(end)
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn events(near: &OwnedFd) -> PollFlags {
        let mut ready = [PollFd::new(near, PollFlags::IN | PollFlags::OUT)];
        poll(&mut ready, Some(&Timespec::default())).unwrap();
        ready[0].revents()
    }

    #[test]
    fn it_is_ready_for_nothing_until_it_is_released() {
        let StandIn { near, far } = StandIn::new().unwrap();
        assert_eq!(events(&near), PollFlags::empty());
        release(far.as_fd());
        assert_eq!(events(&near), PollFlags::OUT);
    }

    #[test]
    fn a_failure_is_an_error() {
        let StandIn { near, far } = StandIn::new().unwrap();
        fail(far);
        let failed = PollFlags::OUT | PollFlags::ERR | PollFlags::HUP;
        assert!(events(&near).contains(failed));
    }
}
