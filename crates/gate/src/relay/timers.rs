//! When a loop has to look at a session even though nothing comes: one heap for all reasons.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Times are rounded up to this, so that many sessions cost few wake-ups.
const GRID: Duration = Duration::from_millis(100);

/// Why a session is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// One side has closed: is the other silent?
    Silence,
    /// The inspector wants a pulse.
    Pulse,
}

/// A session that is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    due: Instant,
    pub(crate) key: usize,
    /// The session may have ended, and a newcomer may have its place.
    pub(crate) serial: u64,
    pub(crate) reason: Reason,
}

pub(crate) struct Timers {
    start: Instant,
    heap: BinaryHeap<Reverse<Timer>>,
}

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers {
            start: Instant::now(),
            heap: BinaryHeap::new(),
        }
    }

    /// Looks at a session after some time. A time that no clock can tell never comes.
    pub(crate) fn set(&mut self, after: Duration, key: usize, serial: u64, reason: Reason) {
        let since_start = self.start.elapsed().saturating_add(after).as_millis();
        let steps = since_start.div_ceil(GRID.as_millis());
        let due = u32::try_from(steps)
            .ok()
            .and_then(|steps| self.start.checked_add(GRID * steps));
        if let Some(due) = due {
            self.heap.push(Reverse(Timer {
                due,
                key,
                serial,
                reason,
            }));
        }
    }

    /// How long the loop may sleep.
    pub(crate) fn sleep(&self) -> Option<Duration> {
        let Reverse(first) = self.heap.peek()?;
        Some(first.due.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The next timer whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let Reverse(first) = self.heap.peek()?;
        if first.due > now {
            return None;
        }
        self.heap.pop().map(|Reverse(timer)| timer)
    }
}
