//! How a process finds out whether pmsocks supervises it: it asks to be connected to an address at which
//! nobody is, and a supervisor answers as the kernel never does. An environment could be passed on to
//! where there is no supervisor.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::thread::{SecureComputingMode, secure_computing_mode};

/// The name of the address, among unix(7)'s abstract ones.
const NAME: &[u8] = b"gatehouse/pmsocks/supervised";

/// The answer. A datagram socket of that family has no connection in the making.
pub const YES: Errno = Errno::ALREADY;

/// Whether an address, as it lies in memory, is the question.
#[must_use]
pub fn is_question(address: &[u8]) -> bool {
    let name = address.strip_prefix(&AddressFamily::UNIX.as_raw().to_ne_bytes());
    name.and_then(|name| name.strip_prefix(b"\0")) == Some(NAME)
}

/// Whether this process is supervised.
#[must_use]
pub fn is_supervised() -> bool {
    let ask = || {
        let kind = (AddressFamily::UNIX, SocketType::DGRAM);
        let socket = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None)?;
        connect(socket, &SocketAddrUnix::new_abstract_name(NAME)?)
    };
    // A supervisor is behind a filter, and whether there is one is known at once.
    let is_filtered = secure_computing_mode() == Ok(SecureComputingMode::Filter);
    is_filtered && ask() == Err(YES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_answers() {
        assert!(!is_supervised());
    }

    #[test]
    fn only_the_question_is_one() {
        let address = [&1_u16.to_ne_bytes()[..], b"\0", NAME].concat();
        assert!(is_question(&address));
        assert!(!is_question(&address[..address.len() - 1]));
        assert!(!is_question(&[&address[..], b"x"].concat()));
        assert!(!is_question(&[]));
    }
}
