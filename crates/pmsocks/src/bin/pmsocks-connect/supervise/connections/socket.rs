//! A descriptor of our own for a socket of the program's. What is set on it is set for the program too.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketType, connect, getpeername, ipproto};

use super::super::ffi::Answer;

/// TCP in more than one stream at a time; a socket of it is used as one of TCP is (linux/in.h).
const MPTCP: u32 = 262;

/// A socket of the program's.
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn new(descriptor: OwnedFd) -> Socket {
        Socket(descriptor)
    }

    pub(super) fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// It stays the same for all descriptors of a socket, and no other socket has it ever.
    pub(super) fn cookie(&self) -> Result<u64, Errno> {
        sockopt::socket_cookie(&self.0)
    }

    pub(super) fn is_v6(&self) -> Result<bool, Errno> {
        Ok(sockopt::socket_domain(&self.0)? == AddressFamily::INET6)
    }

    /// Whether it is one that SOCKS is for: not of UDP, or of another family.
    pub(super) fn is_tcp(&self) -> Result<bool, Errno> {
        let family = sockopt::socket_domain(&self.0)?;
        if !matches!(family, AddressFamily::INET | AddressFamily::INET6)
            || sockopt::socket_type(&self.0)? != SocketType::STREAM
        {
            return Ok(false);
        }
        let protocol = sockopt::socket_protocol(&self.0)?;
        Ok(protocol == Some(ipproto::TCP)
            || protocol.is_some_and(|protocol| protocol.as_raw().get() == MPTCP))
    }

    /// Whether it is one of an internet protocol for which connect(2) does not wait: UDP's, or one of
    /// TCP's that is not to be connected.
    pub(super) fn connects_at_once(&self) -> Result<bool, Errno> {
        let family = sockopt::socket_domain(&self.0)?;
        Ok(matches!(family, AddressFamily::INET | AddressFamily::INET6)
            && (sockopt::socket_type(&self.0)? != SocketType::STREAM || self.is_tcp()?))
    }

    pub(super) fn is_connected(&self) -> bool {
        getpeername(&self.0).is_ok_and(|peer| peer.is_some())
    }

    /// Whether calls wait.
    pub(super) fn blocks(&self) -> Result<bool, Errno> {
        Ok(!fcntl_getfl(&self.0)?.contains(OFlags::NONBLOCK))
    }

    /// How long a call may wait at most, if the program has said so.
    pub(super) fn patience(&self) -> Result<Option<Duration>, Errno> {
        sockopt::socket_timeout(&self.0, Timeout::Send)
    }

    /// Makes it one that does not block, and says what it was.
    pub(super) fn stop_blocking(&self) -> Result<OFlags, Errno> {
        let flags = fcntl_getfl(&self.0)?;
        set_flags(&self.0, flags | OFlags::NONBLOCK)?;
        Ok(flags)
    }

    /// Begins to connect it to the address that was judged. The kernel waits for the end of that where
    /// the program wants to wait: once begun, it does not look at the caller's memory again.
    pub(super) fn connect_directly(&self, target: SocketAddr) -> Result<Answer, Errno> {
        let flags = self.stop_blocking()?;
        let begun = connect(&self.0, &target);
        set_flags(&self.0, flags)?;
        match begun {
            Ok(()) => Ok(Answer::Success),
            Err(Errno::INPROGRESS | Errno::ALREADY) if !flags.contains(OFlags::NONBLOCK) => {
                Ok(Answer::GoOn)
            }
            Err(errno) => Err(errno),
        }
    }
}

/// Sets the flags of a file that all its descriptors share.
pub(super) fn set_flags(socket: impl AsFd, flags: OFlags) -> Result<(), Errno> {
    fcntl_setfl(socket, flags)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn only_sockets_of_internet_protocols_are_connected_for_the_program() {
        let at_once = |socket: OwnedFd| Socket::new(socket).connects_at_once().unwrap();
        assert!(at_once(UdpSocket::bind("127.0.0.1:0").unwrap().into()));
        assert!(!at_once(UnixDatagram::unbound().unwrap().into()));
    }
}
