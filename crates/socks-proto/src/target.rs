//! What a client asks of a server: where to, and in whose name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::MAX_TEXT;
use crate::error::RequestError;

/// What the server has to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// An address. One of IPv4 that is mapped to IPv6 is asked for as one of IPv4.
    Address(SocketAddr),
    /// A name, which the server resolves: SOCKS 4a and 5 only.
    Name {
        /// 1 to 255 bytes, none of them zero.
        host: &'a str,
        /// The TCP port.
        port: u16,
    },
}

impl Target<'_> {
    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Target::Address(address) => address.port(),
            Target::Name { port, .. } => *port,
        }
    }

    /// The same, ready for the wire.
    pub(crate) fn checked(&self) -> Result<Checked<'_>, RequestError> {
        match self {
            Target::Address(address) => Ok(Checked::Address(address.ip().to_canonical())),
            Target::Name { host, .. } => check_name(host).map(Checked::Name),
        }
    }
}

/// A target without its port, whose name has a right length and no zero byte.
pub(crate) enum Checked<'a> {
    Address(IpAddr),
    Name(&'a str),
}

fn check_name(host: &str) -> Result<&str, RequestError> {
    match host.len() {
        0 => Err(RequestError::NameEmpty),
        1..=MAX_TEXT if host.bytes().any(|byte| byte == 0) => Err(RequestError::NameWithNul),
        1..=MAX_TEXT => Ok(host),
        length => Err(RequestError::NameTooLong(length)),
    }
}

/// User name and password for SOCKS 5 (RFC 1929), of 1 to 255 bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Who asks.
    pub user: &'a str,
    /// What proves it. It goes over the wire as it is.
    pub password: &'a str,
}

/// The password is not shown.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let credentials = Credentials {
            user: "anna",
            password: "secret",
        };
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("anna") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
