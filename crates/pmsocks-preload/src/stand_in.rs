//! The stand-in: what is at the number of the program's socket while that is being connected.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown,
    socketpair, sockopt,
};

/// Descriptors of our own begin here, out of the way of programs that expect low numbers.
pub(crate) const OUR_OWN: RawFd = 900;

/// Where those begin that are closed again soon. The kernel has room for 64 descriptors in every
/// process; a larger table is made anew and kept.
const BRIEFLY: RawFd = 48;

/// What is sent so that the near end is full. The smallest buffer that the kernel gives has about
/// 4600 bytes, and counts as full for poll(2) when a quarter of it is used (unix(7), unix_writable).
const FILLING: [u8; 2048] = [0; 2048];

/// A socket that is neither readable nor writable, and the end that changes that.
pub(crate) struct StandIn {
    /// What stands in.
    pub(crate) near: OwnedFd,
    /// Our end: when what lies in it is read, the near end becomes writable.
    pub(crate) far: OwnedFd,
}

impl StandIn {
    pub(crate) fn new() -> Result<StandIn, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_send_buffer_size(&near, 1)?;
        retry_on_intr(|| send(&near, &FILLING, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))?;
        Ok(StandIn {
            near: out_of_the_way(near)?,
            far: out_of_the_way(far)?,
        })
    }
}

/// Makes the near end writable.
pub(crate) fn release(far: impl AsFd) {
    let mut buffer = [0; FILLING.len()];
    let _ = retry_on_intr(|| recv(&far, &mut buffer, RecvFlags::DONTWAIT));
}

/// Wakes everybody who polls the near end, whatever for. It can be done again and again.
pub(crate) fn stir(far: impl AsFd) {
    let _ = shutdown(far, Shutdown::Write);
}

/// Tells the threads that wait on the near end how it went.
pub(crate) fn tell(far: impl AsFd, waiters: usize, outcome: Result<(), Errno>) {
    let word = outcome.err().map_or(0, Errno::raw_os_error).to_ne_bytes();
    for _ in 0..waiters {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = retry_on_intr(|| send(&far, &word, flags));
    }
}

/// The same descriptor at a high number, if the limits have one.
pub(crate) fn out_of_the_way(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    match fcntl_dupfd_cloexec(&fd, OUR_OWN) {
        Ok(high) => Ok(high),
        Err(Errno::INVAL | Errno::MFILE) => Ok(fd),
        Err(errno) => Err(errno),
    }
}

/// A second descriptor for what is at the program's number.
pub(crate) fn aside(fd: RawFd) -> Result<OwnedFd, Errno> {
    second(fd, OUR_OWN)
}

/// One that is closed again before the program's call returns.
pub(crate) fn briefly_aside(fd: RawFd) -> Result<OwnedFd, Errno> {
    second(fd, BRIEFLY)
}

fn second(fd: RawFd, least: RawFd) -> Result<OwnedFd, Errno> {
    let fd = borrow(fd);
    match fcntl_dupfd_cloexec(fd, least) {
        // The limit is below, or what is between is used up.
        Err(Errno::INVAL | Errno::MFILE) => fcntl_dupfd_cloexec(fd, 0),
        done => done,
    }
}

/// Puts `what` at the program's number, which keeps its flag for exec.
pub(crate) fn put(what: impl AsFd, fd: RawFd) -> Result<(), Errno> {
    let flags = rustix::io::fcntl_getfd(borrow(fd))?;
    let flags = if flags.contains(FdFlags::CLOEXEC) {
        rustix::io::DupFlags::CLOEXEC
    } else {
        rustix::io::DupFlags::empty()
    };
    // SAFETY: the number is the program's, and stays open: dup3 replaces what it refers to, and
    // forgetting it leaves it so.
    let mut number = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) });
    rustix::io::dup3(what, &mut number, flags)
}

/// A number of the program's as something that calls take. If the program closes it meanwhile, the
/// calls fail, or meet what another thread of the program has just opened, as its own calls would.
pub(crate) fn borrow<'a>(fd: RawFd) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: callers pass what the program gave, and no negative numbers.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn events(near: &OwnedFd) -> PollFlags {
        let asked = PollFlags::IN | PollFlags::OUT | PollFlags::PRI;
        let mut ready = [PollFd::new(near, asked)];
        poll(&mut ready, Some(&Timespec::default())).unwrap();
        ready[0].revents()
    }

    #[test]
    fn it_is_ready_for_nothing_until_it_is_released() {
        let stand_in = StandIn::new().unwrap();
        assert_eq!(events(&stand_in.near), PollFlags::empty());
        release(&stand_in.far);
        assert_eq!(events(&stand_in.near), PollFlags::OUT);
    }

    #[test]
    fn it_fails_when_its_other_end_goes_unreleased() {
        let StandIn { near, far } = StandIn::new().unwrap();
        drop(far);
        assert!(events(&near).contains(PollFlags::ERR | PollFlags::HUP));
    }

    #[test]
    fn every_waiter_hears_the_outcome() {
        let StandIn { near, far } = StandIn::new().unwrap();
        tell(&far, 2, Err(Errno::CONNREFUSED));
        for _ in 0..2 {
            let mut word = [0; 4];
            recv(&near, &mut word, RecvFlags::empty()).unwrap();
            assert_eq!(i32::from_ne_bytes(word), Errno::CONNREFUSED.raw_os_error());
        }
    }
}
