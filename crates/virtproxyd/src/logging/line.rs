//! One message in the forms that the outputs have.

use std::fmt::Write;

use jiff::{Timestamp, Zoned};
use tracing::{Event, Metadata};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};

use super::Priority;

/// As much of a message is logged, in bytes.
const LONGEST: usize = 16 * 1024;

/// The facility of daemons, in `syslog(3)`.
const DAEMON: u8 = 3;

/// A message.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) priority: Priority,
    category: &'a str,
    /// Without control characters: what clients say must not look like lines of its own.
    text: String,
}

/// The category of what tracing calls a target.
pub(super) fn category(metadata: &Metadata<'_>) -> String {
    metadata.target().replace("::", ".")
}

impl<'a> Line<'a> {
    pub(super) fn of(event: &Event<'_>, priority: Priority, category: &'a str) -> Line<'a> {
        let mut raw = String::new();
        // Text is not refused by a string.
        let _ = DefaultFields::new().format_fields(Writer::new(&mut raw), event);
        Line {
            priority,
            category,
            text: harmless(&raw),
        }
    }

    /// `2026-11-21 07:28:07.123+0000: 4711: info : message`, as in libvirt's log files.
    pub(super) fn for_file(&self) -> String {
        let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3f+0000");
        let (pid, priority) = (std::process::id(), self.priority.name());
        format!("{time}: {pid}: {priority} : {}\n", self.text)
    }

    /// `<30>Nov 21 07:28:07 name[4711]: message`, as `syslog(3)` sends it, in local time.
    pub(super) fn for_syslog(&self, name: &str) -> String {
        let code = DAEMON * 8 + self.priority.severity();
        let time = Zoned::now();
        let (time, pid) = (time.strftime("%b %e %H:%M:%S"), std::process::id());
        format!("<{code}>{time} {name}[{pid}]: {}", self.text)
    }

    /// Fields with libvirt's names, in the journal's native protocol.
    pub(super) fn for_journal(&self) -> String {
        let severity = self.priority.severity();
        format!(
            "MESSAGE={}\nPRIORITY={severity}\nSYSLOG_FACILITY={DAEMON}\n\
             SYSLOG_IDENTIFIER=virtproxyd\nLIBVIRT_SOURCE={}\n",
            self.text, self.category
        )
    }
}

/// The text with control characters as escapes, cut where it is too long.
fn harmless(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len().min(LONGEST));
    for character in raw.chars() {
        if text.len() >= LONGEST {
            text.push_str("...");
            break;
        }
        if character.is_control() {
            let _ = write!(text, "{}", character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}
