//! The log: lines on standard error, which is the log file once that is open.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, unlink};
use rustix::stdio::dup2_stderr;

/// Writes one line, as `info!` and `error!` have it.
pub(crate) fn line(level: &str, message: std::fmt::Arguments<'_>) {
    let now = jiff::Zoned::now().strftime("%a %b %e %H:%M:%S").to_string();
    let pid = std::process::id();
    // One write for each line, so that those of started processes do not get into it. If it fails,
    // nobody is left to tell.
    let text = format!("[{now}] pmdaroot({pid}) {level}: {message}\n");
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Tells what an administrator may want to know.
macro_rules! info {
    ($($text:tt)*) => { $crate::log::line("Info", format_args!($($text)*)) };
}

/// Tells what went wrong.
macro_rules! error {
    ($($text:tt)*) => { $crate::log::line("Error", format_args!($($text)*)) };
}

pub(crate) use {error, info};

/// Makes standard error go to a new file; what was there before is lost, as with every agent.
pub(crate) fn open_file(path: &Path) -> io::Result<()> {
    match unlink(path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    // The folder belongs to another user: nothing that lies there is opened, least of all a link.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = File::from(open(path, flags, mode)?);
    dup2_stderr(&file)?;
    let host = rustix::system::uname();
    let now = jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Y");
    let host = host.nodename().to_string_lossy();
    let _ = writeln!(io::stderr(), "Log for pmdaroot on {host} started {now}\n");
    Ok(())
}
