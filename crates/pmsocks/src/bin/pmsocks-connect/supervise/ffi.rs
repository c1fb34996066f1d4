//! System calls that no crate offers in a safe form: fork(2), seccomp(2) with the ioctls of its
//! listener, options of sockets by number, and what a process does to its own descriptors and signals.

#![expect(unsafe_code, reason = "it is what this module is for")]

use std::ffi::c_int;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

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

/// A table of descriptors that one thread has for itself. Those of the process are in it too, at the
/// same numbers, until something is put in their place.
pub(super) struct OwnTable(PhantomData<*const ()>);

/// Runs something in a new thread with such a table, and waits for it.
pub(super) fn in_own_table<T: Send>(work: impl FnOnce(&OwnTable) -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, || {
            // SAFETY: this thread is the only one that is concerned, and ends soon.
            checked(unsafe { libc::unshare(libc::CLONE_FILES) })?;
            Ok(work(&OwnTable(PhantomData)))
        })?;
        thread.join().unwrap_or(Err(io::ErrorKind::Other.into()))
    })
}

impl OwnTable {
    /// A number for a file that is none of those which something will be put at.
    pub(super) fn keep(&self, file: BorrowedFd<'_>, taken: &[RawFd]) -> Result<RawFd, Errno> {
        loop {
            // SAFETY: it takes numbers, and gives a new one.
            let number = unsafe { libc::dup(file.as_raw_fd()) };
            if number < 0 {
                return Err(last_error());
            }
            if !taken.contains(&number) {
                return Ok(number);
            }
        }
    }

    /// Puts a file at a number.
    pub(super) fn put(&self, file: RawFd, number: RawFd) -> Result<(), Errno> {
        // SAFETY: the table is this thread's own, so that nobody else misses what was at the number.
        checked(unsafe { libc::dup2(file, number) }.min(0))
    }

    /// Has an epoll instance watch what is at a number.
    pub(super) fn watch(
        &self,
        instance: RawFd,
        number: RawFd,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: the kernel reads the event, which lives through the call.
        checked(unsafe { libc::epoll_ctl(instance, libc::EPOLL_CTL_ADD, number, &raw mut event) })
    }

    /// Has it watch that no longer.
    pub(super) fn unwatch(&self, instance: RawFd, number: RawFd) -> Result<(), Errno> {
        let none = std::ptr::null_mut();
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::epoll_ctl(instance, libc::EPOLL_CTL_DEL, number, none) })
    }
}

/// Asks for an option of a socket, by the numbers that a program has for it. How long the answer is.
pub(super) fn option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &mut [u8],
) -> Result<usize, Errno> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel writes no more than `length` bytes at `value`.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    usize::try_from(length).map_err(|_| Errno::INVAL)
}

/// Options of a socket whose values are addresses or descriptors of who sets them, who is not this
/// process.
const OF_THE_PROCESS: [i32; 4] = [
    libc::SO_ATTACH_FILTER,
    libc::SO_ATTACH_BPF,
    libc::SO_ATTACH_REUSEPORT_CBPF,
    libc::SO_ATTACH_REUSEPORT_EBPF,
];

/// Sets an option of a socket, by the numbers that a program has for it.
pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &[u8],
) -> Result<(), Errno> {
    if level == libc::SOL_SOCKET && OF_THE_PROCESS.contains(&name) {
        return Err(Errno::OPNOTSUPP);
    }
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel reads `length` bytes at `value`, and no address that they contain.
    checked(unsafe { libc::setsockopt(socket, level, name, value.as_ptr().cast(), length) })
}

/// Connects a socket to an address as it lay in a program's memory, whatever it says.
pub(super) fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::INVAL)?;
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel reads as many bytes as there are.
    checked(unsafe { libc::connect(socket, address.as_ptr().cast(), length) })
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
