//! Names of hosts.

use super::*;

/// # Safety
/// As for getaddrinfo(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's arguments.
    let code = unsafe { lookups::resolve(node, service, hints, result) };
    guarded(code, || {
        // SAFETY: the caller's arguments.
        unsafe { lookups::getaddrinfo(code, node, service, hints, result) }
    })
}

/// # Safety
/// As for getnameinfo(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn getnameinfo(
    address: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_length: socklen_t,
    service: *mut c_char,
    service_length: socklen_t,
    flags: c_int,
) -> c_int {
    guarded(libc::EAI_SYSTEM, || {
        // SAFETY: the caller's arguments.
        unsafe {
            lookups::getnameinfo(
                address,
                length,
                host,
                host_length,
                service,
                service_length,
                flags,
            )
        }
    })
}

/// # Safety
/// As for gethostbyname(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    // SAFETY: the caller's string, or ours.
    let look_up = |name| unsafe { next::gethostbyname(name) };
    let entry = look_up(name);
    guarded(entry, || {
        // SAFETY: the caller's string, and what was found.
        unsafe { lookups::gethostbyname(entry, name, libc::AF_INET, look_up) }
    })
}

/// # Safety
/// As for gethostbyname2(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    // SAFETY: the caller's string, or ours.
    let look_up = |name| unsafe { next::gethostbyname2(name, family) };
    let entry = look_up(name);
    guarded(entry, || {
        // SAFETY: the caller's string, and what was found.
        unsafe { lookups::gethostbyname(entry, name, family, look_up) }
    })
}

/// # Safety
/// As for gethostbyname_r(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    entry: *mut hostent,
    buffer: *mut c_char,
    length: size_t,
    result: *mut *mut hostent,
    h_errno: *mut c_int,
) -> c_int {
    // SAFETY: the caller's arguments, but for the name, which may be ours.
    let look_up =
        |name| unsafe { next::gethostbyname_r(name, entry, buffer, length, result, h_errno) };
    let code = look_up(name);
    guarded(code, || {
        // SAFETY: the caller's arguments, and what was found.
        unsafe { lookups::gethostbyname_r(code, name, libc::AF_INET, result, look_up) }
    })
}

/// # Safety
/// As for gethostbyname2_r(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    entry: *mut hostent,
    buffer: *mut c_char,
    length: size_t,
    result: *mut *mut hostent,
    h_errno: *mut c_int,
) -> c_int {
    // SAFETY: the caller's arguments, but for the name, which may be ours.
    let look_up = |name| unsafe {
        next::gethostbyname2_r(name, family, entry, buffer, length, result, h_errno)
    };
    let code = look_up(name);
    guarded(code, || {
        // SAFETY: the caller's arguments, and what was found.
        unsafe { lookups::gethostbyname_r(code, name, family, result, look_up) }
    })
}
