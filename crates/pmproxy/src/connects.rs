//! How long connecting to pmcd takes, as a histogram.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds, from 100 µs to 10 s; what takes longer has a
/// bucket without a bound.
pub(crate) const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

const BUCKETS: usize = BOUNDS.len() + 1;

/// Counts durations by their length.
#[derive(Debug, Default)]
pub(crate) struct ConnectTimes {
    buckets: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimesReading {
    /// How many durations are in each bucket, in the order of [`BOUNDS`], and beyond.
    pub(crate) buckets: [u64; BUCKETS],
    /// All durations together.
    pub(crate) microseconds: u64,
}

impl ConnectTimes {
    pub(crate) fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|&bound| bound < microseconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> TimesReading {
        TimesReading {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed)),
            microseconds: self.microseconds.load(Ordering::Relaxed),
        }
    }
}

impl TimesReading {
    /// How many durations there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.microseconds)
    }

    /// The upper bounds in seconds, the last one infinite, and how many durations are in each bucket.
    pub(crate) fn by_bound(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.map(seconds).into_iter().chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_does_not_exceed() {
        let times = ConnectTimes::default();
        for microseconds in [0, 100, 101, 10_000_000, 10_000_001] {
            times.observe(Duration::from_micros(microseconds));
        }
        let reading = times.read();
        assert_eq!(reading.count(), 5);
        assert_eq!(reading.microseconds, 20_000_202);
        let filled: Vec<_> = reading
            .by_bound()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        let expected = [(0.0001, 2), (0.00025, 1), (10.0, 1), (f64::INFINITY, 1)];
        assert_eq!(filled, expected);
    }
}
