//! What libsasl2 says goes to our log, without what may hold secrets.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest message, in characters; what follows is left out.
const MAX_CHARS: usize = 500;

/// Errors are warnings of ours at most that often: strangers can provoke some of them.
const PACE: Duration = Duration::from_secs(1);

/// `SASL_LOG_ERR` in `sasl.h`.
const ERR: i32 = 1;

/// `SASL_LOG_DEBUG`. What is above it traces the talk of mechanisms, passwords included.
const DEBUG: i32 = 5;

static LAST_WARNING: Mutex<Option<Instant>> = Mutex::new(None);

/// Takes a message of one of the library's levels.
pub(crate) fn record(level: i32, message: &[u8]) {
    match level {
        ERR if may_warn() => tracing::warn!("libsasl2: {}", printable(message)),
        ERR..=DEBUG => tracing::debug!("libsasl2: {}", printable(message)),
        _ => {}
    }
}

/// As text in one line: a client's own words may be in it.
pub(crate) fn printable(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let one_line = text.trim().chars().take(MAX_CHARS);
    one_line.flat_map(char::escape_debug).collect()
}

fn may_warn() -> bool {
    let mut last = LAST_WARNING.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let may = last.is_none_or(|last| now.saturating_duration_since(last) >= PACE);
    if may {
        *last = Some(now);
    }
    may
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_break_out_of_its_line() {
        assert_eq!(printable(b"a\nb\x1b[1m \xff\n"), "a\\nb\\u{1b}[1m \u{fffd}");
        assert_eq!(printable(&[b'x'; 9999]).len(), MAX_CHARS);
    }

    #[test]
    fn a_flood_of_errors_is_one_warning() {
        assert!(may_warn());
        assert!((0..100).filter(|_| may_warn()).count() < 100);
    }
}
