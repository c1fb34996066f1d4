//! Addresses of sockets as they lie in a program's memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The longest that the kernel takes (`struct sockaddr_storage`).
pub(super) const LONGEST: usize = 128;

/// Families, in the type that they have in an address.
const UNSPECIFIED: u16 = 0;
const V4: u16 = 2;
const V6: u16 = 10;

/// Lengths of `struct sockaddr_in`, of `struct sockaddr_in6`, and of the latter without the scope, which
/// the kernel takes too.
const V4_LENGTH: usize = 16;
const V6_LENGTH: usize = 28;
const V6_SHORT: usize = 24;

/// What connect(2) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A connection over an internet protocol.
    Internet(SocketAddr),
    /// The end of a connection.
    Nothing,
    /// Another family, or what is no address at all.
    Other,
}

/// Reads an address.
pub(super) fn decode(bytes: &[u8]) -> Wanted {
    let family = field(bytes, 0).map_or(0, u16::from_ne_bytes);
    if bytes.len() >= 2 && family == UNSPECIFIED {
        return Wanted::Nothing;
    }
    let address = match family {
        V4 if bytes.len() >= V4_LENGTH => decode_v4(bytes),
        V6 if bytes.len() >= V6_SHORT => decode_v6(bytes),
        _ => None,
    };
    address.map_or(Wanted::Other, Wanted::Internet)
}

fn decode_v4(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let address = Ipv4Addr::from(field::<4>(bytes, 4)?);
    Some((address, port).into())
}

fn decode_v6(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let flow = u32::from_ne_bytes(field(bytes, 4)?);
    let address = Ipv6Addr::from(field::<16>(bytes, 8)?);
    let scope = field(bytes, V6_SHORT).map_or(0, u32::from_ne_bytes);
    Some(SocketAddrV6::new(address, port, flow, scope).into())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Writes an address as a socket of IPv4 or of IPv6 has it.
pub(super) fn encode(address: SocketAddr, socket_is_v6: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(V6_LENGTH);
    let port = address.port().to_be_bytes();
    match (address.ip(), socket_is_v6) {
        (IpAddr::V4(ip), false) => {
            bytes.extend_from_slice(&V4.to_ne_bytes());
            bytes.extend_from_slice(&port);
            bytes.extend_from_slice(&ip.octets());
            bytes.resize(V4_LENGTH, 0);
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let scope = match address {
                SocketAddr::V6(address) => address.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            bytes.extend_from_slice(&V6.to_ne_bytes());
            bytes.extend_from_slice(&port);
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&ip.octets());
            bytes.extend_from_slice(&scope.to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_system_s_numbers() {
        let numbers = [libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6];
        assert_eq!([UNSPECIFIED, V4, V6].map(i32::from), numbers);
    }

    #[test]
    fn what_was_written_can_be_read() {
        for text in ["10.1.2.3:80", "[2001:db8::1]:44321", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = encode(address, address.is_ipv6());
            assert_eq!(decode(&bytes), Wanted::Internet(address));
        }
    }

    #[test]
    fn a_socket_of_ipv6_shows_ipv4_addresses_as_its_own() {
        let bytes = encode("10.1.2.3:80".parse().unwrap(), true);
        let expected = "[::ffff:10.1.2.3]:80".parse().unwrap();
        assert_eq!(decode(&bytes), Wanted::Internet(expected));
    }

    #[test]
    fn a_scope_may_be_missing() {
        let bytes = encode("[2001:db8::1]:80".parse().unwrap(), true);
        let expected = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(decode(&bytes[..V6_SHORT]), Wanted::Internet(expected));
        assert_eq!(decode(&bytes[..V6_SHORT - 1]), Wanted::Other);
    }

    #[test]
    fn other_families_are_not_taken_for_addresses() {
        assert_eq!(decode(&[0, 0]), Wanted::Nothing);
        assert_eq!(decode(&[0]), Wanted::Other);
        assert_eq!(decode(&[]), Wanted::Other);
        assert_eq!(decode(b"\x01\0/tmp/socket-of-somebody"), Wanted::Other);
        let short = encode("10.1.2.3:80".parse().unwrap(), false);
        assert_eq!(decode(&short[..15]), Wanted::Other);
    }
}
