//! How failures are borne: tried again after growing pauses, and complained of once.

use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Pauses between attempts, which grow while the attempts fail soon.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    /// When the last pause was over.
    attempted: Instant,
}

impl Pauses {
    pub(super) fn new() -> Pauses {
        Pauses {
            next: SHORTEST,
            attempted: Instant::now(),
        }
    }

    /// Waits until the next attempt is due.
    pub(super) async fn pause(&mut self) {
        let pause = self.due(self.attempted.elapsed());
        tokio::time::sleep(pause).await;
        self.attempted = Instant::now();
    }

    /// The pause after an attempt that went well for so long.
    fn due(&mut self, lasted: Duration) -> Duration {
        let pause = if lasted > LONGEST {
            SHORTEST
        } else {
            self.next
        };
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

/// Warns of each trouble once, until another comes.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<String>,
}

impl Complaints {
    pub(super) fn warn(&mut self, trouble: String) {
        if self.last.as_ref() == Some(&trouble) {
            tracing::debug!(target: "discovery", "{trouble}");
        } else {
            tracing::warn!("{trouble}");
            self.last = Some(trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_attempts_fail_soon_and_shrink_after_a_good_time() {
        let mut pauses = Pauses::new();
        let soon = Duration::from_secs(1);
        let seen: Vec<u64> = (0..8).map(|_| pauses.due(soon).as_secs()).collect();
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 60, 60]);
        let long = Duration::from_secs(61);
        assert_eq!(
            [pauses.due(long), pauses.due(soon)].map(|p| p.as_secs()),
            [1, 2]
        );
    }
}
