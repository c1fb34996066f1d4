//! The log: lines on standard error, which is the log file once that is open.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use pcp_env::DebugOptions;

use rustix::fs::{Mode, OFlags, open, unlink};
use rustix::stdio::dup2_stderr;

/// How many lines there can be at once, and how many more each second: clients must not be able to
/// fill the disk.
const BURST: f64 = 1000.0;
const PER_SECOND: f64 = 20.0;

/// How many lines there may be, since when, and how many were left out.
struct Budget {
    lines: f64,
    since: Option<Instant>,
    left_out: u64,
}

static BUDGET: Mutex<Budget> = Mutex::new(Budget {
    lines: BURST,
    since: None,
    left_out: 0,
});

impl Budget {
    /// How many lines were left out before this one, or nothing if it is left out, too.
    fn spend(&mut self, now: Instant) -> Option<u64> {
        let passed = self
            .since
            .map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        self.since = Some(now);
        self.lines = BURST.min(self.lines + passed * PER_SECOND);
        if self.lines < 1.0 {
            self.left_out += 1;
            return None;
        }
        self.lines -= 1.0;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Writes one line, as `info!` and `error!` have it.
pub(crate) fn line(level: &str, message: std::fmt::Arguments<'_>) {
    let spent = BUDGET
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .spend(Instant::now());
    match spent {
        None => {}
        Some(0) => write(level, message),
        Some(count) => {
            write("Info", format_args!("{count} lines were left out"));
            write(level, message);
        }
    }
}

fn write(level: &str, message: std::fmt::Arguments<'_>) {
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

/// Tells more, if a debugging option is on.
macro_rules! debug {
    ($option:literal, $($text:tt)*) => {
        if $crate::log::is_on($option) {
            $crate::log::line("Debug", format_args!($($text)*));
        }
    };
}

pub(crate) use {debug, error, info};

static DEBUG: OnceLock<DebugOptions> = OnceLock::new();

/// Turns debugging options on, for good. Only the first call counts.
pub(crate) fn turn_on(options: DebugOptions) {
    // It was the first call, unless a test comes again.
    let _ = DEBUG.set(options);
}

/// Whether a debugging option is on.
pub(crate) fn is_on(option: &str) -> bool {
    DEBUG.get().is_some_and(|options| options.has(option))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let mut budget = Budget {
            lines: BURST,
            since: None,
            left_out: 0,
        };
        let start = Instant::now();
        let written = (0..5000).filter(|_| budget.spend(start).is_some()).count();
        assert_eq!(written, 1000);
        assert_eq!(budget.spend(start + Duration::from_secs(1)), Some(4000));
        assert_eq!(budget.spend(start + Duration::from_secs(1)), Some(0));
    }
}
