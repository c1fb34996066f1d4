//! Addresses as C has them, and as Rust does.

use std::ffi::c_int;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{AF_INET, AF_INET6, sockaddr, sockaddr_in, sockaddr_in6, socklen_t};
use rustix::io::Errno;

/// The families as they stand in an address, which has 16 bits for them.
#[expect(clippy::cast_possible_truncation, reason = "they are 2 and 10")]
const FAMILY_V4: libc::sa_family_t = AF_INET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "they are 2 and 10")]
const FAMILY_V6: libc::sa_family_t = AF_INET6 as libc::sa_family_t;

/// The address of a family of the internet, or None for every other.
///
/// # Safety
/// `address` is null, or points to `length` bytes.
pub(crate) unsafe fn read(address: *const sockaddr, length: socklen_t) -> Option<SocketAddr> {
    let length = usize::try_from(length).ok()?;
    if address.is_null() || length < size_of::<libc::sa_family_t>() {
        return None;
    }
    // SAFETY: the family is within the length.
    let family = unsafe { ptr::read_unaligned(&raw const (*address).sa_family) };
    match c_int::from(family) {
        AF_INET if length >= size_of::<sockaddr_in>() => {
            // SAFETY: as long as the length says, and every pattern of bits is valid.
            let address = unsafe { ptr::read_unaligned(address.cast::<sockaddr_in>()) };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        AF_INET6 if length >= size_of::<sockaddr_in6>() => {
            // SAFETY: as above.
            let address = unsafe { ptr::read_unaligned(address.cast::<sockaddr_in6>()) };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            let flow = address.sin6_flowinfo;
            Some(SocketAddrV6::new(ip, port, flow, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Whether it is the address that ends a connection (`AF_UNSPEC`).
///
/// # Safety
/// `address` is null, or points to `length` bytes.
pub(crate) unsafe fn is_unspecified(address: *const sockaddr, length: socklen_t) -> bool {
    let is_long =
        usize::try_from(length).is_ok_and(|length| length >= size_of::<libc::sa_family_t>());
    // SAFETY: the family is within the length.
    let family = || unsafe { ptr::read_unaligned(&raw const (*address).sa_family) };
    !address.is_null() && is_long && c_int::from(family()) == libc::AF_UNSPEC
}

/// Writes an address as getpeername(2) does: as much as there is room for, and how long it is.
///
/// # Safety
/// `length` is valid for reading and writing, and `room` for as many bytes as it says.
pub(crate) unsafe fn write(
    address: SocketAddr,
    room: *mut sockaddr,
    length: *mut socklen_t,
) -> Result<(), Errno> {
    if room.is_null() || length.is_null() {
        return Err(Errno::FAULT);
    }
    match address {
        SocketAddr::V4(address) => {
            let value = sockaddr_in {
                sin_family: FAMILY_V4,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*address.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the caller's duty.
            unsafe { copy(&value, room, length) }
        }
        SocketAddr::V6(address) => {
            let value = sockaddr_in6 {
                sin6_family: FAMILY_V6,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: the caller's duty.
            unsafe { copy(&value, room, length) }
        }
    }
    Ok(())
}

/// # Safety
/// As for [`write()`].
unsafe fn copy<T>(value: &T, room: *mut sockaddr, length: *mut socklen_t) {
    // SAFETY: the caller's duty; the shorter of both is copied.
    unsafe {
        let fits = usize::try_from(*length).unwrap_or(0).min(size_of::<T>());
        ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), room.cast::<u8>(), fits);
        *length = socklen_t::try_from(size_of::<T>()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_the_same_and_short_room_is_not_overrun() {
        for text in ["192.0.2.1:44321", "[2001:db8::1%3]:44321"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut room = [0u8; 64];
            let mut length: socklen_t = 64;
            // SAFETY: there is room for 64 bytes.
            unsafe { write(address, room.as_mut_ptr().cast(), &raw mut length) }.unwrap();
            // SAFETY: that many were written.
            assert_eq!(unsafe { read(room.as_ptr().cast(), length) }, Some(address));

            let mut short = [0xffu8; 16];
            let mut room: socklen_t = 6;
            // SAFETY: there is room for more than is said.
            unsafe { write(address, short.as_mut_ptr().cast(), &raw mut room) }.unwrap();
            assert_eq!(room, length);
            assert!(short[6..].iter().all(|byte| *byte == 0xff));
        }
    }

    #[test]
    fn what_is_short_or_of_another_family_is_none_of_ours() {
        let unix = [1u8, 0, b'/', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let short = [2u8, 0, 0, 1];
        // SAFETY: the lengths are true.
        unsafe {
            assert_eq!(read(unix.as_ptr().cast(), 16), None);
            assert_eq!(read(short.as_ptr().cast(), 4), None);
            assert_eq!(read(short.as_ptr().cast(), 1), None);
            assert_eq!(read(ptr::null(), 16), None);
        }
    }
}
