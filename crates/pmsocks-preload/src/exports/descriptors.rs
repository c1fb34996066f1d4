//! Descriptors, whatever they are of.

use super::*;

/// # Safety
/// As for close(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    closing(fd);
    // SAFETY: the caller's argument.
    unsafe { next::close(fd) }
}

/// Makes a second number for what is at one of the program's.
fn second(fd: c_int, make: impl FnOnce() -> c_int) -> c_int {
    let is_made = |made| made >= 0 && made != fd;
    if !is_any() || is_held() {
        let made = make();
        if is_made(made) && connecting::is_tcp(fd) {
            numbers::duplicated();
        }
        return made;
    }
    if !STATE.with(|state| state.pending.has_room(fd)) {
        settle(fd);
    }
    STATE.with(|state| {
        let made = make();
        if is_made(made) {
            numbers::duplicated();
            state.pending.duplicated(fd, made);
        }
        made
    })
}

/// # Safety
/// As for dup(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup(fd: c_int) -> c_int {
    // SAFETY: the caller's argument.
    second(fd, || unsafe { next::dup(fd) })
}

/// # Safety
/// As for dup2(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    if old != new {
        closing(new);
    }
    // SAFETY: the caller's arguments.
    second(old, || unsafe { next::dup2(old, new) })
}

/// # Safety
/// As for dup3(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    if old != new {
        closing(new);
    }
    // SAFETY: the caller's arguments.
    second(old, || unsafe { next::dup3(old, new, flags) })
}

/// fcntl(2), whichever it is.
fn control(fd: c_int, command: c_int, call: impl FnOnce() -> c_int) -> c_int {
    match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => second(fd, call),
        libc::F_SETFL | libc::F_SETFD => undisturbed(call),
        _ => call(),
    }
}

/// # Safety
/// As for fcntl(2). What follows the command is a number or a pointer, and is where the third argument
/// of a function is that has no variable ones.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int {
    // SAFETY: the caller's arguments.
    control(fd, command, || unsafe {
        next::fcntl(fd, command, argument)
    })
}

/// # Safety
/// As for [`fcntl`], which it is for programs with large files.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int {
    // SAFETY: the caller's arguments.
    control(fd, command, || unsafe {
        next::fcntl64(fd, command, argument)
    })
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
