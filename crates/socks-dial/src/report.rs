//! Lines for `SOCKS_DEBUG`, and the one for `SOCKS_BANNER`.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use rustix::fs::{FileType, fstat};
use rustix::io::{retry_on_intr, write};
use rustix::stdio::{stderr, stdout};

/// What a file is known by: device and inode.
type Identity = (u64, u64);

/// What standard output and standard error were when the settings were read; None if they were closed.
static OUTPUT: OnceLock<Option<Identity>> = OnceLock::new();
static ERROR: OnceLock<Option<Identity>> = OnceLock::new();

/// Looks what standard output and standard error are, before a program opens anything of its own.
pub(crate) fn look() {
    OUTPUT.get_or_init(|| identity(stdout()));
    ERROR.get_or_init(|| identity(stderr()));
}

/// Writes a line to standard error, with `pmsocks: ` before it, in as few writes as the system takes.
/// It goes past the standard library, whose lock a forked child could inherit.
pub fn report(line: &fmt::Arguments<'_>) {
    if is_for_us(stderr(), &ERROR) {
        write_all(stderr(), format!("pmsocks: {line}\n").as_bytes());
    }
}

/// Writes the line that says that this is pmsocks to standard output.
pub fn print_banner(line: &str) {
    if is_for_us(stdout(), &OUTPUT) {
        write_all(stdout(), line.as_bytes());
    }
}

/// Where a standard stream was closed, a file of the program's own has its number now; and no socket
/// that it has made since is one to write on. Another file or terminal is what it has redirected the
/// stream to.
fn is_for_us(stream: BorrowedFd<'_>, known: &OnceLock<Option<Identity>>) -> bool {
    let Some(first) = known.get_or_init(|| identity(stream)) else {
        return false;
    };
    let Ok(facts) = fstat(stream) else {
        return false;
    };
    (facts.st_dev, facts.st_ino) == *first
        || FileType::from_raw_mode(facts.st_mode) != FileType::Socket
}

fn identity(stream: BorrowedFd<'_>) -> Option<Identity> {
    fstat(stream).map(|facts| (facts.st_dev, facts.st_ino)).ok()
}

fn write_all(stream: BorrowedFd<'_>, bytes: &[u8]) {
    let mut left = bytes;
    while !left.is_empty() {
        match retry_on_intr(|| write(stream, left)) {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.get(count..).unwrap_or_default(),
        }
    }
}
