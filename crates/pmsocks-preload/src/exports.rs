//! What the program calls instead of the C library's own functions. Each lets the next library's do
//! the work, unless a socket that is being connected here, or was, has something to do with it. No
//! panic leaves this library.

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};

use libc::{
    addrinfo, epoll_event, hostent, msghdr, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t,
    size_t, sockaddr, socklen_t, ssize_t,
};
use rustix::io::Errno;

use crate::connecting::{self, Caller, Way};
use crate::guard::guarded;
use crate::lock::is_held;
use crate::pending::is_any;
use crate::plan::plan;
use crate::state::{STATE, State};
use crate::{addresses, clib, epolls, execs, helper, lookups, next, outcomes, transfers};

/// Called by the dynamic linker when the library is loaded, before the program runs.
#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = loaded;

extern "C" fn loaded() {
    guarded((), || {
        next::find_all();
        crate::state::watch_forks();
        let _ = plan();
        execs::find_launcher();
    });
}

/// Whether a stand-in is at the number.
fn is_aside(fd: c_int) -> bool {
    is_any() && STATE.with(|state| own(state, fd)).is_some()
}

/// The number of the program's own socket where a stand-in is in its place.
fn own(state: &mut State, fd: c_int) -> Option<c_int> {
    state.pending.adopt(fd, &mut state.outcomes);
    state.pending.own(fd)
}

/// Makes a call with the program's own socket, wherever that is, and says whether it is put aside. It
/// must not be put back meanwhile: the number would be nobody's then, or somebody else's.
fn with_own(fd: c_int, call: impl FnOnce(c_int, bool) -> c_int) -> c_int {
    if !is_any() {
        return call(fd, false);
    }
    STATE.with(|state| match own(state, fd) {
        Some(number) => call(number, true),
        None => call(fd, false),
    })
}

/// Makes a call that must not come between the moment in which it is looked what a socket has (its
/// flags, its registrations with epoll instances) and the one in which another has that at its number.
fn undisturbed(call: impl FnOnce() -> c_int) -> c_int {
    if is_any() && !is_held() {
        STATE.with(|_| call())
    } else {
        call()
    }
}

/// Waits until no stand-in is at the number any more.
fn settle(fd: c_int) {
    if is_any() {
        guarded((), || connecting::settle(fd));
    }
}

/// The program gives a number up.
fn closing(fd: c_int) {
    if is_any() && !is_held() {
        guarded((), || {
            STATE.with(|state| {
                if state.pending.closed(fd) {
                    helper::wake();
                }
            });
        });
    }
}

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
            _ => Way::Pass,
        }
    });
    match way {
        // SAFETY: the caller's arguments.
        Way::Pass => unsafe { next::connect(fd, address, length) },
        Way::Done(result) => clib::result(result),
    }
}

/// Passes on where the call comes from, which is on top of the stack on x86-64 and in a register on
/// ARM; there is no other way to ask.
///
/// # Safety
/// As for connect(2).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!("mov rcx, [rsp]", "jmp {}", sym connect_from);
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!("mov x3, x30", "b {}", sym connect_from);
}

/// # Safety
/// As for connect(2).
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { connect_from(fd, address, length, std::ptr::null()) }
}

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

/// # Safety
/// As for close(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    closing(fd);
    // SAFETY: the caller's argument.
    unsafe { next::close(fd) }
}

/// # Safety
/// As for dup(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup(fd: c_int) -> c_int {
    settle(fd);
    // SAFETY: the caller's argument.
    unsafe { next::dup(fd) }
}

/// # Safety
/// As for dup2(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    settle(old);
    if old != new {
        closing(new);
    }
    // SAFETY: the caller's arguments.
    unsafe { next::dup2(old, new) }
}

/// # Safety
/// As for dup3(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    settle(old);
    if old != new {
        closing(new);
    }
    // SAFETY: the caller's arguments.
    unsafe { next::dup3(old, new, flags) }
}

/// # Safety
/// As for fcntl(2). What follows the command is a number or a pointer, and is where the third argument
/// of a function is that has no variable ones.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int {
    if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
        settle(fd);
    }
    // SAFETY: the caller's arguments.
    let call = || unsafe { next::fcntl(fd, command, argument) };
    if matches!(command, libc::F_SETFL | libc::F_SETFD) {
        undisturbed(call)
    } else {
        call()
    }
}

/// # Safety
/// As for [`fcntl`], which it is for programs with large files.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int {
    if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
        settle(fd);
    }
    // SAFETY: the caller's arguments.
    let call = || unsafe { next::fcntl64(fd, command, argument) };
    if matches!(command, libc::F_SETFL | libc::F_SETFD) {
        undisturbed(call)
    } else {
        call()
    }
}

/// # Safety
/// As for ioctl(2); its third argument is as for [`fcntl`].
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: c_long) -> c_int {
    // SAFETY: the caller's arguments.
    let call = || unsafe { next::ioctl(fd, request, argument) };
    match request {
        libc::FIONBIO | libc::FIOASYNC | libc::FIOCLEX | libc::FIONCLEX => undisturbed(call),
        _ => call(),
    }
}

/// # Safety
/// As for epoll_ctl(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn epoll_ctl(
    epoll: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    if operation == libc::EPOLL_CTL_ADD {
        epolls::remember(epoll);
    }
    // SAFETY: the caller's arguments.
    undisturbed(|| unsafe { next::epoll_ctl(epoll, operation, fd, event) })
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
    transfers::wait_before(fd, flags);
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
    transfers::wait_before(fd, flags);
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

/// # Safety
/// As for execve(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execve(
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's lists, or ours.
    let run = |path, arguments| unsafe { next::execve(path, arguments, environment) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, run) }
}

/// # Safety
/// As for execvpe(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execvpe(
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's lists, or ours.
    let run = |file, arguments| unsafe { next::execvpe(file, arguments, environment) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, run) }
}

/// # Safety
/// As for execv(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int {
    // SAFETY: the caller's list, or ours.
    let run = |path, arguments| unsafe { next::execv(path, arguments) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, run) }
}

/// # Safety
/// As for execvp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn execvp(file: *const c_char, arguments: *const *const c_char) -> c_int {
    // SAFETY: the caller's list, or ours.
    let run = |file, arguments| unsafe { next::execvp(file, arguments) };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, run) }
}

/// # Safety
/// As for posix_spawn(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's pointers, and its list or ours.
    let run = |path, arguments| unsafe {
        next::posix_spawn(pid, path, actions, attributes, arguments, environment)
    };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_path(path, arguments, run) }
}

/// # Safety
/// As for posix_spawnp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn posix_spawnp(
    pid: *mut pid_t,
    file: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's pointers, and its list or ours.
    let run = |file, arguments| unsafe {
        next::posix_spawnp(pid, file, actions, attributes, arguments, environment)
    };
    // SAFETY: the caller's string and list.
    unsafe { execs::by_name(file, arguments, run) }
}

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
