//! System calls that no crate offers in a safe form: fork(2), seccomp(2) with the ioctls of its
//! listener, and what a process does to its own descriptors and signals.

#![expect(unsafe_code, reason = "it is what this module is for")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::unistd::{ForkResult, Pid};
use rustix::io::Errno;

/// A call that the kernel holds until it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    /// By this it is answered.
    pub(super) id: u64,
    /// The thread that called.
    pub(super) thread: i32,
    /// Which call of which machine, as `AUDIT_ARCH_*` names it.
    pub(super) machine: u32,
    pub(super) number: u32,
    pub(super) arguments: [u64; 6],
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Success,
    Error(Errno),
    /// The kernel shall do what was asked for.
    GoOn,
}

/// Makes a second process of this one; `None` in the new one. This process must have one thread only.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: there is no other thread that could hold a lock that the child would need.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Puts a filter before all system calls of this process and of its children. The descriptor that comes
/// back is where the calls arrive that it asks about.
pub(super) fn install(filter: &[libc::sock_filter]) -> Result<OwnedFd, Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the program, which lives through the call, and writes nothing.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let listener = match RawFd::try_from(listener) {
        Ok(listener) if listener >= 0 => listener,
        _ => return Err(last_error()),
    };
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Takes a call from the listener, which has one.
pub(super) fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    // SAFETY: it has numbers only, for which zeros are values; the kernel wants them.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the request's number has the size of the structure in it, which is what is written.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut notification) };
    checked(result)?;
    Ok(Notification {
        id: notification.id,
        thread: notification.pid.cast_signed(),
        machine: notification.data.arch,
        number: notification.data.nr.cast_unsigned(),
        arguments: notification.data.args,
    })
}

/// Answers a call. `ENOENT`: the thread that waited was interrupted, or is no more.
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<(), Errno> {
    let (error, flags) = match answer {
        Answer::Success => (0, 0),
        Answer::Error(errno) => (-errno.raw_os_error(), 0),
        Answer::GoOn => (0, GO_ON),
    };
    let mut response = libc::seccomp_notif_resp {
        id,
        val: 0,
        error,
        flags,
    };
    let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
    // SAFETY: the request's number has the size of the structure in it, which is what is read.
    checked(unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut response) })
}

#[expect(clippy::cast_possible_truncation, reason = "it is one bit, the lowest")]
const GO_ON: u32 = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;

/// Whether the thread still waits, so that its number and memory are those that were meant.
pub(super) fn waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    let request = libc::SECCOMP_IOCTL_NOTIF_ID_VALID;
    // SAFETY: the request's number has the size of the number in it, which is what is read.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const id) == 0 }
}

/// Puts a descriptor in the place of one that the waiting process has.
pub(super) fn replace(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    number: RawFd,
    closes_on_exec: bool,
) -> Result<(), Errno> {
    let flag = if closes_on_exec { libc::O_CLOEXEC } else { 0 };
    let request = libc::seccomp_notif_addfd {
        id,
        flags: SET_NUMBER,
        srcfd: descriptor.as_raw_fd().cast_unsigned(),
        newfd: number.cast_unsigned(),
        newfd_flags: flag.cast_unsigned(),
    };
    let number = libc::SECCOMP_IOCTL_NOTIF_ADDFD;
    // SAFETY: the request's number has the size of the structure in it, which is what is read.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), number, &raw const request) };
    checked(result.min(0))
}

#[expect(clippy::cast_possible_truncation, reason = "it is one bit, the lowest")]
const SET_NUMBER: u32 = libc::SECCOMP_ADDFD_FLAG_SETFD as u32;

fn checked(result: c_int) -> Result<(), Errno> {
    if result == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// A change of what an epoll instance watches.
pub(super) struct Operation<'a> {
    pub(super) epoll: BorrowedFd<'a>,
    /// Whether the new file is added, or the old one taken out.
    pub(super) adds: bool,
    pub(super) events: u32,
    pub(super) data: u64,
}

/// Changes what epoll instances watch under a number that belongs to another process. An instance knows
/// files by the number that they had for who registered them; so that is what they get, in a process
/// that is made for it.
pub(super) fn with_number(
    number: RawFd,
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
    operations: &[Operation<'_>],
) -> Result<(), Errno> {
    let Some(helper) = fork().map_err(|_| Errno::AGAIN)? else {
        let done = operate(number, old, new, operations);
        // SAFETY: the process ends, without what ought to be done once only at the end of its parent.
        unsafe { libc::_exit(done.is_err().into()) };
    };
    // It has nothing to wait for. How it went shows in the program, if anywhere.
    let _ = nix::sys::wait::waitpid(helper, None);
    Ok(())
}

/// What is done in the process that was made for it: nobody else uses its descriptors.
fn operate(
    number: RawFd,
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
    operations: &[Operation<'_>],
) -> Result<(), Errno> {
    use rustix::io::fcntl_dupfd_cloexec;
    // Out of the way of the number.
    let old = fcntl_dupfd_cloexec(old, number + 1)?;
    let new = fcntl_dupfd_cloexec(new, number + 1)?;
    let mut epolls = Vec::new();
    for operation in operations {
        epolls.push(fcntl_dupfd_cloexec(operation.epoll, number + 1)?);
    }
    for adds in [false, true] {
        let file = if adds { &new } else { &old };
        // SAFETY: what was at the number is used by nobody in this process.
        if unsafe { libc::dup2(file.as_raw_fd(), number) } < 0 {
            return Err(last_error());
        }
        let pairs = operations.iter().zip(&epolls);
        for (operation, epoll) in pairs.filter(|(operation, _)| operation.adds == adds) {
            control(epoll.as_fd(), number, operation);
        }
    }
    Ok(())
}

fn control(epoll: BorrowedFd<'_>, number: RawFd, operation: &Operation<'_>) {
    let mut event = libc::epoll_event {
        events: operation.events,
        u64: operation.data,
    };
    let what = if operation.adds {
        libc::EPOLL_CTL_ADD
    } else {
        libc::EPOLL_CTL_DEL
    };
    // SAFETY: the event is ours.
    unsafe { libc::epoll_ctl(epoll.as_raw_fd(), what, number, &raw mut event) };
}

/// Reads an option of a socket, whatever it is. How many bytes it has.
pub(super) fn get_option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &mut [u8],
) -> Result<usize, Errno> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel writes no more than the length that is given, which is the room there is.
    let result = unsafe {
        libc::syscall(
            libc::SYS_getsockopt,
            socket,
            level,
            name,
            value.as_mut_ptr(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(last_error());
    }
    Ok(value.len().min(usize::try_from(length).unwrap_or(0)))
}

/// Sets an option of a socket, whatever it is.
pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &[u8],
) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel reads as many bytes as there are. Options that hold addresses of memory are
    // those of packet filters, which are then looked for in this process: they fail, or are garbage
    // that the kernel checks.
    let result = unsafe {
        libc::syscall(
            libc::SYS_setsockopt,
            socket,
            level,
            name,
            value.as_ptr(),
            length,
        )
    };
    if result < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

/// Closes all descriptors from 3 on but these, which nothing else here may use from now on.
pub(super) fn close_all_but(kept: &[BorrowedFd<'_>]) {
    let mut kept: Vec<u32> = kept
        .iter()
        .map(|fd| fd.as_raw_fd().cast_unsigned())
        .collect();
    kept.sort_unstable();
    let mut first = 3;
    for keep in kept.into_iter().chain([u32::MAX]) {
        if first < keep {
            // SAFETY: who calls this has no use for any of them. It can't fail: the range is not empty.
            unsafe { libc::syscall(libc::SYS_close_range, first, keep - 1, 0) };
        }
        first = first.max(keep.saturating_add(1));
    }
}

/// Has a signal do what it does by default.
pub(super) fn set_default(signal: i32) {
    // SAFETY: no handler of this process is replaced; there are none. It fails for what is no signal
    // and for SIGKILL and SIGSTOP, which do so anyway.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Sends a signal, realtime ones included, which have no names.
pub(super) fn send(process: Pid, signal: i32) {
    // SAFETY: it takes numbers. Who calls this has not waited for the child yet, so that the number is
    // still its own, or means itself. A signal that can't be sent has nobody to be sent to.
    unsafe { libc::kill(process.as_raw(), signal) };
}
