//! Times of something that is done again and again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::super::figures::{Figure, Sample};

/// How often something is done at most in one measurement: each connection through a server leaves
/// a port of the firewall unusable for a minute.
pub(super) const MOST: u64 = 1000;

/// Does it over and over for `length`, after a warm-up of a fifth of it, and keeps what it says it
/// took.
pub(super) fn repeat(
    length: Duration,
    mut once: impl FnMut() -> Result<Duration>,
) -> Result<Histogram<u64>> {
    go_on(length / 5, &mut once)?;
    go_on(length, &mut once)
}

fn go_on(length: Duration, once: &mut impl FnMut() -> Result<Duration>) -> Result<Histogram<u64>> {
    let mut times = times()?;
    let start = Instant::now();
    while times.is_empty() || (start.elapsed() < length && times.len() < MOST) {
        record(&mut times, once()?)?;
    }
    Ok(times)
}

/// No times yet.
pub(super) fn times() -> Result<Histogram<u64>> {
    Histogram::new(3).context("cannot set up the histogram")
}

pub(super) fn record(times: &mut Histogram<u64>, took: Duration) -> Result<()> {
    times
        .record(u64::try_from(took.as_nanos())?)
        .context("cannot keep a time")
}

/// Median and 99th percentile.
pub(super) fn sample(times: &Histogram<u64>) -> Sample {
    let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Sample::default()
        .with(Figure::P50, micros(0.50))
        .with(Figure::P99, micros(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_at_least_once_and_at_most_so_often() {
        let mut count = 0;
        let mut once = || {
            count += 1;
            Ok(Duration::from_micros(3))
        };
        assert_eq!(go_on(Duration::ZERO, &mut once).unwrap().len(), 1);
        let times = go_on(Duration::from_secs(60), &mut once).unwrap();
        assert_eq!(times.len(), MOST);
        let median = sample(&times).get(Figure::P50).unwrap();
        assert!((median - 3.0).abs() < 0.01, "{median}");
        assert_eq!(count, MOST + 1);
    }
}
