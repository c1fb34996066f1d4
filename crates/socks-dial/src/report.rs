//! Lines for `SOCKS_DEBUG`.

use std::fmt;

use rustix::io::{retry_on_intr, write};
use rustix::stdio::stderr;

/// Writes a line to standard error, with `pmsocks: ` before it, in as few writes as the system takes.
/// It goes past the standard library, whose lock a forked child could inherit.
pub fn report(line: &fmt::Arguments<'_>) {
    let line = format!("pmsocks: {line}\n");
    let mut left = line.as_bytes();
    while !left.is_empty() {
        match retry_on_intr(|| write(stderr(), left)) {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.get(count..).unwrap_or_default(),
        }
    }
}
