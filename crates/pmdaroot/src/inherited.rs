//! What this process got from its parent and does not want: open descriptors, ignored signals; and what
//! its own children are to have as it was: the limit of descriptors. This is the one module with unsafe
//! code, because no crate offers any of it in a safe form.

#![expect(
    unsafe_code,
    reason = "closing by number, sigaction and what is done after fork have no safe form"
)]

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::io::fcntl_getfd;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Closes all descriptors but the standard ones, and has every signal do what it does by default, so
/// that nothing is handed on to started processes. To be called first of all.
pub(crate) fn shed() {
    for descriptor in open_descriptors() {
        // SAFETY: it is only asked whether the number is that of an open descriptor.
        let is_open = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(descriptor) }).is_ok();
        // The one with which the list was read is closed already.
        if is_open {
            // SAFETY: nothing has been opened yet that this process would still use.
            unsafe { rustix::io::close(descriptor) };
        }
    }
    // Rust's own runtime relies on SIGPIPE being ignored, and undoes that for processes it starts.
    let resettable =
        |signal: &Signal| !matches!(*signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE);
    for number in Signal::iterator().filter(resettable) {
        // SAFETY: no handler has been installed yet, so that no code relies on one.
        // It cannot fail: these signals can be changed.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
}

/// Has a program begin with this limit of descriptors: one that looks at it does so first of all.
pub(crate) fn limit(command: &mut Command, descriptors: Rlimit) {
    let set = move || Ok(setrlimit(Resource::Nofile, descriptors)?);
    // SAFETY: it is one system call, which touches nothing of what threads share.
    unsafe { command.pre_exec(set) };
}

fn open_descriptors() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect()
}
