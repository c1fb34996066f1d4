//! Which addresses are this host's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// Whether the address is loopback or one that an interface of this host has. The system is asked
/// whether a datagram socket can have it, so that no list of interfaces can be out of date.
#[must_use]
pub fn is_local_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return false;
    }
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .is_ok_and(|socket| bind(&socket, &SocketAddr::new(address, 0)).is_ok())
}
