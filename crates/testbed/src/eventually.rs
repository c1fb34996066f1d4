//! Waiting for something to become true, with a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything here waits before it gives up. Long, since test machines are slow and shared:
/// only a test that fails waits for all of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks.
const PACE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Errors
/// When it does not hold `within` the time given; the error says `what` was waited for.
pub fn eventually(
    within: Duration,
    what: impl Display,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    eventually_some(within, what, || condition().then_some(()))
}

/// Waits until `probe` finds a value, and gives it.
///
/// # Errors
/// When it finds none `within` the time given; the error says `what` was waited for.
pub fn eventually_some<T>(
    within: Duration,
    what: impl Display,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain: {what}", within.as_secs_f32());
        }
        std::thread::sleep(PACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_the_condition_holds() {
        let mut looks = 0;
        eventually(PATIENCE, "third look", || {
            looks += 1;
            looks == 3
        })
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn what_was_waited_for_is_in_the_error() {
        let error = eventually(Duration::ZERO, "the moon is blue", || false).unwrap_err();
        assert!(error.to_string().contains("the moon is blue"), "{error}");
    }
}
