//! What can go wrong: a request that SOCKS has no words for, and what servers answer.

use std::net::Ipv4Addr;

use crate::reply::{Reply4, Reply5};
use crate::version::Version;

/// A request that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A name of no bytes.
    #[error("the target's name is empty")]
    NameEmpty,
    /// So many bytes, more than [`MAX_TEXT`](crate::MAX_TEXT).
    #[error("the target's name has {0} bytes, and SOCKS has room for 255")]
    NameTooLong(usize),
    /// A zero byte, with which names of SOCKS 4a end.
    #[error("the target's name has a zero byte in it")]
    NameWithNul,
    /// SOCKS 4 was asked for a name.
    #[error("SOCKS 4 has no names (SOCKS 4a and 5 have)")]
    NameUnsupported,
    /// SOCKS 4 or 4a was asked for an address of IPv6.
    #[error("SOCKS {0} has no addresses of IPv6 (SOCKS 5 has)")]
    Ipv6Unsupported(Version),
    /// An address by which SOCKS 4a tells that a name follows: 0.0.0.1 to 0.0.0.255.
    #[error("SOCKS 4 cannot ask for {0}, which means that a name follows")]
    ReservedAddress(Ipv4Addr),
    /// So many bytes, more than [`MAX_TEXT`](crate::MAX_TEXT).
    #[error("the login name has {0} bytes, and there is room for 255")]
    LoginTooLong(usize),
    /// A zero byte, with which login names end.
    #[error("the login name has a zero byte in it")]
    LoginWithNul,
    /// So many bytes.
    #[error("the user name for the SOCKS server has {0} bytes, and must have 1 to 255")]
    UserLength(usize),
    /// So many bytes.
    #[error("the password for the SOCKS server has {0} bytes, and must have 1 to 255")]
    PasswordLength(usize),
}

/// A dialogue that ended without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialogueError {
    /// A SOCKS 4 or 4a server says no.
    #[error("{0}")]
    Refused4(Reply4),
    /// A SOCKS 5 server says no.
    #[error("{0}")]
    Refused5(Reply5),
    /// The server wants an authentication that was not offered.
    #[error("the server accepts no way of authentication that it was offered")]
    NoAcceptableMethod,
    /// User name and password were refused, with this status.
    #[error("the server refused user name and password (status {0})")]
    AuthenticationFailed(u8),
    /// The first byte of all belongs to another version, or is not of SOCKS.
    #[error(
        "the server's answer begins with {found} instead of {expected}: it does not speak this version of SOCKS"
    )]
    BadVersion {
        /// What answers of this version begin with.
        expected: u8,
        /// What came.
        found: u8,
    },
    /// A later answer begins with what the one before it makes impossible.
    #[error(
        "an answer of the server begins with {found} instead of {expected}, in the middle of the dialogue"
    )]
    ChangedVersion {
        /// What this answer begins with.
        expected: u8,
        /// What came.
        found: u8,
    },
    /// The server chose a method of authentication that it was not offered.
    #[error("the server chose a way of authentication that it was not offered (method {0})")]
    UnofferedMethod(u8),
    /// The kind of the address to which the server is bound is none of SOCKS 5.
    #[error("the server connected, but tells its address in an unknown way (type {0})")]
    UnknownAddressType(u8),
    /// More bytes were given than were wanted, which is the caller's mistake.
    #[error("{given} bytes were read where {wanted} were wanted")]
    Surplus {
        /// How many could be taken.
        wanted: usize,
        /// How many came.
        given: usize,
    },
}

impl DialogueError {
    /// The peer does not speak this version at all: it may be asked again with another one, over a
    /// new connection.
    pub fn looks_like_another_version(&self) -> bool {
        matches!(self, DialogueError::BadVersion { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_its_reason() {
        let refused = DialogueError::Refused4(Reply4::RejectedOrFailed);
        assert_eq!(refused.to_string(), Reply4::RejectedOrFailed.to_string());
        let refused = DialogueError::Refused5(Reply5::Unknown(77));
        assert_eq!(refused.to_string(), "unknown code 77");
    }

    #[test]
    fn only_the_first_byte_of_all_tells_of_another_version() {
        let (expected, found) = (5, 0);
        assert!(DialogueError::BadVersion { expected, found }.looks_like_another_version());
        for error in [
            DialogueError::ChangedVersion { expected, found },
            DialogueError::NoAcceptableMethod,
            DialogueError::UnofferedMethod(2),
            DialogueError::Refused5(Reply5::CommandNotSupported),
            DialogueError::Refused4(Reply4::RejectedOrFailed),
        ] {
            assert!(!error.looks_like_another_version(), "{error}");
        }
    }
}
