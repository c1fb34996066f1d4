//! Sockets: connect(2), and what is asked of a socket or sent with it.

use super::*;

/// connect(2), with the address that it returns to.
///
/// # Safety
/// As for connect(2).
unsafe extern "C" fn connect_from(
    fd: c_int,
    address: *const sockaddr,
    length: socklen_t,
    caller: *const c_void,
) -> c_int {
    let way = guarded(Way::Done(Err(Errno::IO)), || {
        // SAFETY: the caller's address is as long as it says.
        match unsafe { addresses::read(address, length) } {
            Some(target) if fd >= 0 => connecting::connect(fd, target, Caller(caller)),
            // SAFETY: as above.
            None if is_any() && unsafe { addresses::is_unspecified(address, length) } => {
                connecting::give_up(fd)
            }
            _ => Way::Pass,
        }
    });
    match way {
        // SAFETY: the caller's arguments.
        Way::Pass => unsafe { next::connect(fd, address, length) },
        Way::Done(result) => clib::result(result),
    }
}

tell_caller!(
    connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int,
    connect_from,
    x86_64: "rcx", aarch64: "x3",
);

/// # Safety
/// As for getpeername(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getpeername(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    guarded(-1, || {
        if fd >= 0 && is_aside(fd) {
            return clib::result(Err(Errno::NOTCONN));
        }
        let target = outcomes::target(fd);
        // SAFETY: null, or the caller's.
        let room = unsafe { length.as_ref() }.copied();
        // SAFETY: the caller's arguments. The connection may have ended meanwhile, which this tells.
        let result = unsafe { next::getpeername(fd, address, length) };
        if let (0, Some(target), Some(room)) = (result, target, room) {
            // SAFETY: the caller's pointers, which the call has just used, and as much room as before.
            unsafe {
                *length = room;
                return clib::result(addresses::write(target, address, length));
            }
        }
        result
    })
}

/// # Safety
/// As for getsockname(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getsockname(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    guarded(-1, || {
        with_own(fd, |fd, _| {
            // SAFETY: the caller's arguments, but for the number.
            unsafe { next::getsockname(fd, address, length) }
        })
    })
}

/// # Safety
/// As for getsockopt(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    guarded(-1, || {
        let is_error = (level, name) == (libc::SOL_SOCKET, libc::SO_ERROR);
        let mut connecting = false;
        let result = with_own(fd, |number, is_aside| {
            connecting = is_aside;
            // The dialogue's own errors are not the program's, and are not to be taken from it: the
            // stand-in has none.
            let number = if is_error { fd } else { number };
            // SAFETY: the caller's arguments, but for the number.
            unsafe { next::getsockopt(number, level, name, value, length) }
        });
        if result == 0
            && is_error
            && !connecting
            && let Some(failure) = outcomes::take_failure(fd)
        {
            // SAFETY: the call has just written as many bytes there.
            unsafe { show_error(failure, value, length) };
        }
        result
    })
}

/// SO_ERROR as it would be without a SOCKS server: that of the dialogue.
///
/// # Safety
/// `value` is valid for as many bytes as `length` says.
unsafe fn show_error(failure: Errno, value: *mut c_void, length: *const socklen_t) {
    // SAFETY: the caller's duty.
    unsafe {
        if *length as usize >= size_of::<c_int>() {
            value
                .cast::<c_int>()
                .write_unaligned(failure.raw_os_error());
        }
    }
}

/// # Safety
/// As for setsockopt(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    guarded(-1, || {
        with_own(fd, |fd, _| {
            // SAFETY: the caller's arguments, but for the number.
            unsafe { next::setsockopt(fd, level, name, value, length) }
        })
    })
}

/// # Safety
/// As for shutdown(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    guarded(-1, || {
        if is_aside(fd) {
            return clib::result(Err(Errno::NOTCONN));
        }
        // SAFETY: the caller's arguments.
        unsafe { next::shutdown(fd, how) }
    })
}

/// Whether a call would connect a socket and send on it in one (tcp(7), MSG_FASTOPEN). Programs try
/// connect(2) where the system cannot do it.
fn opens_fast(fd: c_int, flags: c_int) -> bool {
    flags & libc::MSG_FASTOPEN != 0 && fd >= 0 && connecting::is_tcp(fd)
}

/// # Safety
/// As for sendto(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn sendto(
    fd: c_int,
    bytes: *const c_void,
    count: size_t,
    flags: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> ssize_t {
    if !address.is_null() && opens_fast(fd, flags) {
        return clib::result(Err(Errno::OPNOTSUPP)) as ssize_t;
    }
    if let Err(failure) = transfers::before(fd, flags) {
        clib::set_errno(failure);
        return -1;
    }
    // SAFETY: the caller's arguments.
    unsafe { next::sendto(fd, bytes, count, flags, address, length) }
}

/// # Safety
/// As for sendmsg(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if opens_fast(fd, flags) {
        return clib::result(Err(Errno::OPNOTSUPP)) as ssize_t;
    }
    if let Err(failure) = transfers::before(fd, flags) {
        clib::set_errno(failure);
        return -1;
    }
    // SAFETY: the caller's arguments.
    unsafe { next::sendmsg(fd, message, flags) }
}

/// # Safety
/// As for syscall(2); arguments that the caller did not pass are not looked at.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if number == libc::SYS_connect
        && let (Ok(fd), Ok(length)) = (a.try_into(), c.try_into())
    {
        let address = std::ptr::with_exposed_provenance(usize::try_from(b).unwrap_or_default());
        // SAFETY: connect(2) has these arguments.
        return unsafe { connect(fd, address, length) }.into();
    }
    // SAFETY: the caller's arguments.
    unsafe { next::syscall(number, a, b, c, d, e, f) }
}
