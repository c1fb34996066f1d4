//! Ports that nobody uses.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::{Result, bail};
use socket2::{Domain, Socket, Type};

/// Below the range from which Linux takes ports for outgoing connections, so that no client on the
/// machine is given the port before a daemon has bound it.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

const ATTEMPTS: usize = 100;

/// Those of libvirt, on which tests expect nobody.
const LIBVIRT: [u16; 2] = [16_509, 16_514];

/// A TCP port on which nothing listens now, on either loopback address. Another process may still
/// take it first: starting a [`Daemon`](crate::Daemon) copes with that by trying another one.
///
/// # Errors
/// When a hundred random ports were all taken.
pub fn free_port() -> Result<u16> {
    for _ in 0..ATTEMPTS {
        let port = random_port();
        if !LIBVIRT.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    bail!("found no free port in {RANGE:?} in {ATTEMPTS} attempts")
}

/// A TCP port of 127.0.0.1 on which nobody listens, kept from others as long as the descriptor.
///
/// # Errors
/// When there is none.
pub fn deaf_port() -> Result<(OwnedFd, u16)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    let port = address.map_or(0, |address| address.port());
    Ok((socket.into(), port))
}

fn random_port() -> u16 {
    let span = u64::from(RANGE.end - RANGE.start);
    let offset = RandomState::new().hash_one(()) % span;
    RANGE.start + u16::try_from(offset).unwrap_or_default()
}

/// A machine without IPv6 has its IPv6 ports free.
fn is_free(port: u16) -> bool {
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let taken = v6
        .as_ref()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    !taken && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn nobody_listens_on_a_deaf_port_and_nobody_else_can() {
        let (_kept, port) = deaf_port().unwrap();
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(!is_free(port));
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let port = free_port().unwrap();
        assert!(is_free(port));
        let _v6_or_v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
    }
}
