//! Reading and writing. A program may make a socket that is still being connected a blocking one, and
//! then read from it or write to it: that waits until the socket is connected, as it would without a
//! SOCKS server. What does not block meets the stand-in, which says EAGAIN, as it would, too.

use std::ffi::{c_int, c_uint, c_void};
use std::slice;

use libc::{iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

use rustix::io::Errno;

use crate::connecting::Caller;
use crate::guard::guarded;
use crate::lock::is_held;
use crate::pending::is_any;
use crate::{clib, connecting, next, outcomes, profiles};

/// Waits until no stand-in is at the number, where a transfer would wait. A socket whose connection
/// has failed tells so once, as after any other failure.
pub(super) fn before(fd: c_int, flags: c_int) -> Result<(), Errno> {
    if is_any() && !is_held() {
        guarded((), || {
            connecting::settle_unless(fd, flags & libc::MSG_DONTWAIT != 0);
        });
    }
    match outcomes::take_failure(fd) {
        None => Ok(()),
        Some(failure) => Err(failure),
    }
}

/// Declares functions that wait before they call the next library's of their name.
macro_rules! transfers {
    ($($name:ident($flags:expr; $($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(
            /// # Safety
            /// As the function of that name says.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            unsafe extern "C" fn $name(fd: c_int, $($argument: $kind),*) -> $result {
                if let Err(failure) = before(fd, $flags) {
                    clib::set_errno(failure);
                    return -1;
                }
                // SAFETY: the caller's arguments.
                unsafe { next::$name(fd, $($argument),*) }
            }
        )*
    };
}

transfers! {
    read(0; bytes: *mut c_void, count: size_t) -> ssize_t;
    __read_chk(0; bytes: *mut c_void, count: size_t, room: size_t) -> ssize_t;
    readv(0; parts: *const iovec, count: c_int) -> ssize_t;
    recv(flags; bytes: *mut c_void, count: size_t, flags: c_int) -> ssize_t;
    __recv_chk(flags; bytes: *mut c_void, count: size_t, room: size_t, flags: c_int) -> ssize_t;
    recvfrom(flags; bytes: *mut c_void, count: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) -> ssize_t;
    recvmsg(flags; message: *mut msghdr, flags: c_int) -> ssize_t;
    recvmmsg(flags; messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int;
    write(0; bytes: *const c_void, count: size_t) -> ssize_t;
    writev(0; parts: *const iovec, count: c_int) -> ssize_t;
    sendmmsg(flags; messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int;
}

tell_caller!(
    send(fd: c_int, bytes: *const c_void, count: size_t, flags: c_int) -> ssize_t,
    send_from,
    x86_64: "r8", aarch64: "x4",
);

/// send(2), with the address that it returns to.
///
/// # Safety
/// As for send(2).
unsafe extern "C" fn send_from(
    fd: c_int,
    bytes: *const c_void,
    count: size_t,
    flags: c_int,
    caller: *const c_void,
) -> ssize_t {
    if let Err(failure) = before(fd, flags) {
        clib::set_errno(failure);
        return -1;
    }
    let more = if profiles::may_come() && Caller(caller).is_libpcp() {
        // SAFETY: libpcp sends what it has made itself.
        profiles::flags(unsafe { slice::from_raw_parts(bytes.cast(), count) })
    } else {
        0
    };
    // SAFETY: the caller's arguments, and a flag.
    unsafe { next::send(fd, bytes, count, flags | more) }
}
