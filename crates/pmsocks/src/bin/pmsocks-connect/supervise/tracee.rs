//! The thread that waits for an answer: its memory, its descriptors, its user. All of it may change or
//! vanish at any time, so what matters is looked at once, and kept.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// `PIDFD_THREAD`, since Linux 6.9: any thread, not only the first of a process.
const ANY_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());

/// A thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracee {
    pub(super) thread: i32,
}

/// A thread that waits for an answer, and the descriptor that its call is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) id: u64,
    pub(super) tracee: Tracee,
    pub(super) number: RawFd,
    /// Whether it is of this machine, not of its 32-bit ancestor.
    pub(super) is_native: bool,
}

impl Tracee {
    /// Reads its memory.
    pub(super) fn read(self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let remote = remote(address, bytes.len())?;
        let wanted = bytes.len();
        let pid = nix::unistd::Pid::from_raw(self.thread);
        let read = process_vm_readv(pid, &mut [IoSliceMut::new(bytes)], &[remote]);
        all(wanted, read)
    }

    /// Writes its memory.
    pub(super) fn write(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let remote = remote(address, bytes.len())?;
        let pid = nix::unistd::Pid::from_raw(self.thread);
        let written = process_vm_writev(pid, &[IoSlice::new(bytes)], &[remote]);
        all(bytes.len(), written)
    }

    /// A descriptor of our own for what one of its descriptors is.
    pub(super) fn descriptor(self, number: RawFd) -> Result<OwnedFd, Errno> {
        let pid = Pid::from_raw(self.thread).ok_or(Errno::SRCH)?;
        let process = match pidfd_open(pid, ANY_THREAD) {
            Err(Errno::INVAL) => {
                let first = self
                    .status("Tgid:", 0)
                    .and_then(|id| Pid::from_raw(id.cast_signed()));
                pidfd_open(first.ok_or(Errno::SRCH)?, PidfdFlags::empty())?
            }
            other => other?,
        };
        pidfd_getfd(process, number, PidfdGetfdFlags::empty())
    }

    /// Whether one of its descriptors is closed when a program is executed.
    pub(super) fn closes_on_exec(self, number: RawFd) -> bool {
        let path = format!("/proc/{}/fdinfo/{number}", self.thread);
        let facts = fs::read_to_string(path).unwrap_or_default();
        let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0)
    }

    /// The numbers at which it has a socket, and those of its epoll instances.
    pub(super) fn places(self, inode: u64) -> (Vec<RawFd>, Vec<RawFd>) {
        let (mut sockets, mut instances) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(format!("/proc/{}/fd", self.thread));
        for entry in entries.into_iter().flatten().flatten() {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let (Some(number), Ok(link)) = (number, fs::read_link(entry.path())) else {
                continue;
            };
            if socket_inode(&link) == Some(inode) {
                sockets.push(number);
            } else if link.as_os_str() == EPOLL_INSTANCE {
                instances.push(number);
            }
        }
        (sockets, instances)
    }

    /// Its effective user.
    pub(super) fn user(self) -> Option<u32> {
        self.status("Uid:", 1)
    }

    /// A number of a line of its status.
    fn status(self, line: &str, column: usize) -> Option<u32> {
        let path = format!("/proc/{}/status", self.thread);
        let facts = fs::read_to_string(path).ok()?;
        let rest = facts.lines().find_map(|text| text.strip_prefix(line))?;
        rest.split_ascii_whitespace().nth(column)?.parse().ok()
    }
}

/// What the link of an epoll instance says.
const EPOLL_INSTANCE: &str = "anon_inode:[eventpoll]";

fn socket_inode(link: &Path) -> Option<u64> {
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

fn remote(address: u64, len: usize) -> Result<RemoteIoVec, Errno> {
    let base = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    Ok(RemoteIoVec { base, len })
}

fn all(wanted: usize, moved: nix::Result<usize>) -> Result<(), Errno> {
    match moved {
        Ok(count) if count == wanted => Ok(()),
        Ok(_) => Err(Errno::FAULT),
        Err(errno) => Err(Errno::from_raw_os_error(errno as i32)),
    }
}
