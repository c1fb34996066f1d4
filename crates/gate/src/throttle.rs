//! Keeps messages that strangers can provoke from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Messages that may come at once.
const BURST: f64 = 100.0;

/// Messages per second after that.
const RATE: f64 = 10.0;

/// Lets a burst of messages through, then a few per second.
#[derive(Debug)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: f64,
    updated: Instant,
    suppressed: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        let state = State {
            left: BURST,
            updated: Instant::now(),
            suppressed: 0,
        };
        Throttle {
            state: Mutex::new(state),
        }
    }
}

impl Throttle {
    /// Whether a message may be written now; if so, how many were kept back since the last one.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.updated).as_secs_f64();
        state.updated = now;
        state.left = (state.left + passed * RATE).min(BURST);
        if state.left < 1.0 {
            state.suppressed += 1;
            return None;
        }
        state.left -= 1.0;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_becomes_a_trickle_that_tells_what_was_kept_back() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let admitted = (0..250)
            .filter(|_| throttle.admit_at(start).is_some())
            .count();
        assert_eq!(admitted, 100);
        assert_eq!(throttle.admit_at(start + Duration::from_secs(1)), Some(150));
        assert_eq!(throttle.admit_at(start + Duration::from_secs(1)), Some(0));
    }
}
