//! Why a connection through SOCKS servers failed, and which machine is to blame.

use std::fmt;
use std::net::SocketAddr;

use rustix::io::Errno;
use socks_proto::{DialogueError, Reply4, Reply5, RequestError};

/// Which machine is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// This host: what was asked for cannot be done at all.
    Here,
    /// The SOCKS server: it is down, silent, makes no sense, or does not want to.
    Server,
    /// The destination, or the network before it, as the SOCKS server says.
    Target,
}

/// A connection that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    culprit: Culprit,
    errno: Errno,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Which machine is to blame.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        self.culprit
    }

    /// What connect(2) says for it.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Something that this host cannot do.
    pub(crate) fn here(errno: Errno, what: String) -> Failure {
        Failure {
            culprit: Culprit::Here,
            errno,
            what,
        }
    }

    /// A server that could not be spoken with.
    pub(crate) fn server(errno: Errno, what: String) -> Failure {
        Failure {
            culprit: Culprit::Server,
            errno,
            what,
        }
    }

    /// The connection to the server itself failed.
    pub(crate) fn unreachable(server: SocketAddr, errno: Errno) -> Failure {
        let what = match errno {
            Errno::CONNREFUSED => format!("SOCKS server {server} refused the connection to itself"),
            Errno::TIMEDOUT => format!("SOCKS server {server} did not answer in time"),
            errno => format!("SOCKS server {server} cannot be reached: {errno}"),
        };
        Failure::server(errno, what)
    }

    /// The request cannot be put into this version's words.
    pub(crate) fn request(server: SocketAddr, error: &RequestError) -> Failure {
        let errno = match error {
            RequestError::Ipv6Unsupported(_) => Errno::AFNOSUPPORT,
            _ => Errno::INVAL,
        };
        Failure::here(errno, format!("cannot ask SOCKS server {server}: {error}"))
    }

    /// The dialogue went wrong, or the server said no.
    pub(crate) fn dialogue(
        server: SocketAddr,
        destination: &dyn fmt::Display,
        error: &DialogueError,
    ) -> Failure {
        let (culprit, errno) = blame(error);
        let what = match culprit {
            Culprit::Target => {
                format!("{destination} was not reached, says SOCKS server {server}: {error}")
            }
            _ => format!("SOCKS server {server} itself failed the connection: {error}"),
        };
        Failure {
            culprit,
            errno,
            what,
        }
    }

    /// Whether another server may do better: this one is out of order, or does not know us.
    pub(crate) fn is_the_servers_own(&self) -> bool {
        self.culprit == Culprit::Server
    }
}

/// The errno of each answer. Those of the server's rules and of its authentication are EACCES, as for
/// a local firewall's rule in connect(2).
fn blame(error: &DialogueError) -> (Culprit, Errno) {
    match error {
        DialogueError::Refused5(reply) => match reply {
            Reply5::GeneralFailure => (Culprit::Target, Errno::HOSTUNREACH),
            Reply5::NotAllowed => (Culprit::Server, Errno::ACCESS),
            Reply5::NetworkUnreachable => (Culprit::Target, Errno::NETUNREACH),
            Reply5::HostUnreachable => (Culprit::Target, Errno::HOSTUNREACH),
            Reply5::ConnectionRefused => (Culprit::Target, Errno::CONNREFUSED),
            Reply5::TtlExpired => (Culprit::Target, Errno::TIMEDOUT),
            Reply5::CommandNotSupported => (Culprit::Server, Errno::OPNOTSUPP),
            Reply5::AddressTypeNotSupported => (Culprit::Server, Errno::AFNOSUPPORT),
            _ => (Culprit::Server, Errno::PROTO),
        },
        DialogueError::Refused4(reply) => match reply {
            Reply4::RejectedOrFailed => (Culprit::Target, Errno::CONNREFUSED),
            Reply4::NoIdentd | Reply4::IdentdMismatch => (Culprit::Server, Errno::ACCESS),
            _ => (Culprit::Server, Errno::PROTO),
        },
        DialogueError::NoAcceptableMethod | DialogueError::AuthenticationFailed(_) => {
            (Culprit::Server, Errno::ACCESS)
        }
        _ => (Culprit::Server, Errno::PROTO),
    }
}
