//! Standard streams that the user has closed. The program shall find them closed; but what is opened here
//! must not get their numbers, or messages would go there.

use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_getfd;
use rustix::stdio::{stderr, stdin, stdout};

/// The highest number of a standard stream.
const LAST: i32 = 2;

/// Fills the places of closed standard streams until a program is executed.
pub(crate) fn fill() {
    let streams = [stdin(), stdout(), stderr()];
    if streams.iter().all(|stream| fcntl_getfd(stream).is_ok()) {
        return;
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    while let Ok(nothing) = open("/dev/null", flags, Mode::empty()) {
        if nothing.as_raw_fd() > LAST {
            break;
        }
        // It stays open.
        let _ = nothing.into_raw_fd();
    }
}
