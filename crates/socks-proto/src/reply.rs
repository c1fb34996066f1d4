//! The reasons that a server can give for a refusal. The numbers are those of the SOCKS 4 memo and
//! of RFC 1928, section 6.

/// Why a SOCKS 4 or 4a server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reply4 {
    /// 91: its rules forbid it, or it could not connect; SOCKS 4 has one number for both.
    #[error("request rejected or failed")]
    RejectedOrFailed,
    /// 92: it could not ask the client's identd who the user is.
    #[error("request rejected, because the client's host does not tell the user (no identd)")]
    NoIdentd,
    /// 93: the client's identd named another user than the request.
    #[error("request rejected, because the client's host tells another user (identd)")]
    IdentdMismatch,
    /// A number that SOCKS 4 does not have.
    #[error("unknown code {0}")]
    Unknown(u8),
}

impl Reply4 {
    /// The number for a request that was granted.
    pub(crate) const GRANTED: u8 = 90;

    /// What a number other than [`Reply4::GRANTED`] means.
    pub(crate) fn from_code(code: u8) -> Reply4 {
        match code {
            91 => Reply4::RejectedOrFailed,
            92 => Reply4::NoIdentd,
            93 => Reply4::IdentdMismatch,
            other => Reply4::Unknown(other),
        }
    }

    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Reply4::RejectedOrFailed => 91,
            Reply4::NoIdentd => 92,
            Reply4::IdentdMismatch => 93,
            Reply4::Unknown(code) => code,
        }
    }
}

/// Why a SOCKS 5 server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reply5 {
    /// 1: something else than what the others say.
    #[error("general failure of the server")]
    GeneralFailure,
    /// 2: its rules forbid it.
    #[error("connection not allowed by the server's rules")]
    NotAllowed,
    /// 3: it has no way to the target's network.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// 4: it cannot reach the target, or cannot resolve its name.
    #[error("host unreachable")]
    HostUnreachable,
    /// 5: the target itself refused.
    #[error("connection refused by the target")]
    ConnectionRefused,
    /// 6: too many hops; some servers say it when their own time ran out.
    #[error("time to live expired")]
    TtlExpired,
    /// 7: it does not know CONNECT.
    #[error("command not supported")]
    CommandNotSupported,
    /// 8: it does not know this kind of address.
    #[error("type of address not supported")]
    AddressTypeNotSupported,
    /// A number that SOCKS 5 does not have.
    #[error("unknown code {0}")]
    Unknown(u8),
}

impl Reply5 {
    /// The number for a request that was granted.
    pub(crate) const SUCCEEDED: u8 = 0;

    /// What a number other than [`Reply5::SUCCEEDED`] means.
    pub(crate) fn from_code(code: u8) -> Reply5 {
        match code {
            1 => Reply5::GeneralFailure,
            2 => Reply5::NotAllowed,
            3 => Reply5::NetworkUnreachable,
            4 => Reply5::HostUnreachable,
            5 => Reply5::ConnectionRefused,
            6 => Reply5::TtlExpired,
            7 => Reply5::CommandNotSupported,
            8 => Reply5::AddressTypeNotSupported,
            other => Reply5::Unknown(other),
        }
    }

    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Reply5::GeneralFailure => 1,
            Reply5::NotAllowed => 2,
            Reply5::NetworkUnreachable => 3,
            Reply5::HostUnreachable => 4,
            Reply5::ConnectionRefused => 5,
            Reply5::TtlExpired => 6,
            Reply5::CommandNotSupported => 7,
            Reply5::AddressTypeNotSupported => 8,
            Reply5::Unknown(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_socks_4_means_one_thing() {
        let known = [
            (91, Reply4::RejectedOrFailed, "request rejected or failed"),
            (92, Reply4::NoIdentd, "does not tell the user"),
            (93, Reply4::IdentdMismatch, "tells another user"),
        ];
        for (code, reply, words) in known {
            assert_eq!(Reply4::from_code(code), reply);
            assert!(reply.to_string().contains(words), "{reply}");
        }
        for code in 0..=u8::MAX {
            let reply = Reply4::from_code(code);
            let is_known = (91..=93).contains(&code);
            assert_eq!(reply.code(), code);
            assert_eq!(reply == Reply4::Unknown(code), !is_known);
        }
    }

    #[test]
    fn every_number_of_socks_5_means_one_thing() {
        let known = [
            (1, Reply5::GeneralFailure, "general failure"),
            (2, Reply5::NotAllowed, "not allowed by the server's rules"),
            (3, Reply5::NetworkUnreachable, "network unreachable"),
            (4, Reply5::HostUnreachable, "host unreachable"),
            (5, Reply5::ConnectionRefused, "refused by the target"),
            (6, Reply5::TtlExpired, "time to live expired"),
            (7, Reply5::CommandNotSupported, "command not supported"),
            (8, Reply5::AddressTypeNotSupported, "type of address"),
        ];
        for (code, reply, words) in known {
            assert_eq!(Reply5::from_code(code), reply);
            assert!(reply.to_string().contains(words), "{reply}");
        }
        for code in 0..=u8::MAX {
            let reply = Reply5::from_code(code);
            let is_known = (1..=8).contains(&code);
            assert_eq!(reply.code(), code);
            assert_eq!(reply == Reply5::Unknown(code), !is_known);
        }
    }
}
