//! How important a message is.

use std::fmt;

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// libvirt's priorities, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// 1
    Debug,
    /// 2
    Info,
    /// 3
    Warning,
    /// 4
    Error,
}

impl Priority {
    pub(crate) fn from_number(number: u32) -> Option<Priority> {
        match number {
            1 => Some(Priority::Debug),
            2 => Some(Priority::Info),
            3 => Some(Priority::Warning),
            4 => Some(Priority::Error),
            _ => None,
        }
    }

    /// From a number or a name, which `LIBVIRT_DEBUG` may have.
    pub(super) fn from_word(word: &str) -> Option<Priority> {
        let all = [
            Priority::Debug,
            Priority::Info,
            Priority::Warning,
            Priority::Error,
        ];
        all.into_iter()
            .find(|priority| priority.name() == word || priority.to_string() == word)
    }

    /// That of a message; tracing's finest has none, it is never logged.
    pub(super) fn of(level: Level) -> Option<Priority> {
        match level {
            Level::ERROR => Some(Priority::Error),
            Level::WARN => Some(Priority::Warning),
            Level::INFO => Some(Priority::Info),
            Level::DEBUG => Some(Priority::Debug),
            _ => None,
        }
    }

    /// As libvirt's log lines have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Priority::Debug => "debug",
            Priority::Info => "info",
            Priority::Warning => "warning",
            Priority::Error => "error",
        }
    }

    /// The severity of `syslog(3)`.
    pub(super) fn severity(self) -> u8 {
        match self {
            Priority::Debug => 7,
            Priority::Info => 6,
            Priority::Warning => 4,
            Priority::Error => 3,
        }
    }

    /// What tracing has to let through.
    pub(super) fn level_filter(self) -> LevelFilter {
        match self {
            Priority::Debug => LevelFilter::DEBUG,
            Priority::Info => LevelFilter::INFO,
            Priority::Warning => LevelFilter::WARN,
            Priority::Error => LevelFilter::ERROR,
        }
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            Priority::Debug => 1,
            Priority::Info => 2,
            Priority::Warning => 3,
            Priority::Error => 4,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}
