//! Asks one name server, that of `SOCKS_NS`, for the addresses of SOCKS servers. What it is asked over,
//! and how long; what is asked and what an answer says stands in `messages.rs`.

mod messages;

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use pmsocks_common::split_port;

use messages::{Answer, Family, Query};

const PORT: u16 = 53;

/// How long each try waits: together 9 s, near to what the resolver of the C library takes.
const TRIES: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(4),
];

/// Larger than any answer without extensions, so that a longer one is seen to be too long.
const MAX_DATAGRAM: usize = 4096;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error(
        "SOCKS_NS {0:?}: not a name server, which is a name or an address, with or without a port"
    )]
    Malformed(String),
    #[error("SOCKS_NS {server:?}: cannot find the address of that name server: {error}")]
    Nowhere { server: String, error: io::Error },
    #[error("cannot ask name server {server} (from SOCKS_NS) for {host:?}: {error}")]
    Silent {
        server: SocketAddr,
        host: String,
        error: io::Error,
    },
    #[error("name server {server} (from SOCKS_NS) could not answer for {host:?}: {code}")]
    Refused {
        server: SocketAddr,
        host: String,
        code: String,
    },
    #[error("name server {server} (from SOCKS_NS) knows no address of {host:?}")]
    Unknown { server: SocketAddr, host: String },
    #[error("{0:?} is not a name that a name server could know")]
    NoName(String),
}

/// A name server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameServer {
    address: SocketAddr,
    tries: [Duration; 3],
}

impl NameServer {
    /// Takes the value of `SOCKS_NS`; the local resolver finds the name server if it is a name.
    pub(crate) fn from_text(text: &str) -> Result<NameServer, NameError> {
        let malformed = || NameError::Malformed(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(malformed)?;
        let port = match port {
            Some(digits) => digits.parse().map_err(|_| malformed())?,
            None => PORT,
        };
        let nowhere = |error| NameError::Nowhere {
            server: text.to_owned(),
            error,
        };
        let address = (host, port)
            .to_socket_addrs()
            .map_err(nowhere)?
            .next()
            .ok_or_else(|| nowhere(io::ErrorKind::NotFound.into()))?;
        Ok(NameServer {
            address,
            tries: TRIES,
        })
    }

    /// All addresses of a host, IPv4 first. The name is tried in each of the domains, and as it stands.
    pub(crate) fn addresses(
        &self,
        host: &str,
        domains: &[String],
    ) -> Result<Vec<IpAddr>, NameError> {
        for name in names(host, domains) {
            let mut addresses = Vec::new();
            for family in [Family::V4, Family::V6] {
                addresses.extend(self.ask(&name, family)?);
            }
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        Err(NameError::Unknown {
            server: self.address,
            host: host.to_owned(),
        })
    }

    fn ask(&self, host: &str, family: Family) -> Result<Vec<IpAddr>, NameError> {
        let query = Query::new(host, family).ok_or_else(|| NameError::NoName(host.to_owned()))?;
        let silent = |error| NameError::Silent {
            server: self.address,
            host: host.to_owned(),
            error,
        };
        match self.exchange(&query).map_err(silent)? {
            Answer::Addresses(addresses) => Ok(addresses),
            Answer::Failure(code) => Err(NameError::Refused {
                server: self.address,
                host: host.to_owned(),
                code,
            }),
            // TCP has no limit that an answer would be cut at.
            Answer::Cut => Err(silent(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Asks until there is an answer, and over TCP when it does not fit into a datagram.
    fn exchange(&self, query: &Query) -> io::Result<Answer> {
        let any: SocketAddr = match self.address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        // From then on the kernel takes nothing from others.
        socket.connect(self.address)?;
        let mut failure = io::ErrorKind::TimedOut.into();
        for patience in self.tries {
            match ask_once(&socket, query, patience) {
                Ok(Answer::Cut) => return self.ask_over_tcp(query, patience),
                Ok(answer) => return Ok(answer),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn ask_over_tcp(&self, query: &Query, patience: Duration) -> io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let length = u16::try_from(query.bytes().len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query.bytes()].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes)?;
        query
            .answer(&bytes)
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Sends the question and waits. What does not answer it is not looked at: anybody could have sent it
/// with a forged source.
fn ask_once(socket: &UdpSocket, query: &Query, patience: Duration) -> io::Result<Answer> {
    let end = Instant::now() + patience;
    socket.send(query.bytes())?;
    let mut bytes = [0; MAX_DATAGRAM];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(&mut bytes) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        if let Some(answer) = query.answer(&bytes[..length]) {
            return Ok(answer);
        }
    }
}

/// The full names that a host's name can stand for: a name without a dot is one of the own domains'.
fn names(host: &str, domains: &[String]) -> Vec<String> {
    let bare = host.trim_end_matches('.');
    let mut names = Vec::new();
    if !host.contains('.') {
        names.extend(domains.iter().map(|domain| format!("{bare}.{domain}")));
    }
    names.push(bare.to_owned());
    names
}

/// The domains that `/etc/resolv.conf` has names completed with; the last line of them counts.
pub(crate) fn own_domains(resolv_conf: &str) -> Vec<String> {
    let mut domains = Vec::new();
    for line in resolv_conf.lines() {
        let mut words = line.split_ascii_whitespace();
        if matches!(words.next(), Some("search" | "domain")) {
            domains = words
                .map(|domain| domain.trim_matches('.').to_owned())
                .filter(|domain| !domain.is_empty())
                .collect();
        }
    }
    domains
}

#[cfg(test)]
mod tests;
