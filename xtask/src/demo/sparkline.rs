//! A row of small bars.

/// How many samples a row shows.
pub(super) const WIDTH: usize = 30;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws the samples, the newest on the right, between their smallest and their largest; a sample
/// that is missing is a gap.
pub(super) fn draw(samples: impl Iterator<Item = Option<f64>> + Clone) -> String {
    let known = samples.clone().flatten();
    let low = known.clone().fold(f64::INFINITY, f64::min);
    let high = known.fold(f64::NEG_INFINITY, f64::max);
    samples
        .map(|sample| sample.map_or(' ', |value| bar(value, low, high)))
        .collect()
}

fn bar(value: f64, low: f64, high: f64) -> char {
    let part = (value - low) / (high - low);
    // Of equal samples none is high: 0/0 is no number, and compares with nothing.
    let step = (1..BARS.len()).rev().find(|&step| {
        #[expect(clippy::cast_precision_loss, reason = "at most 8")]
        let threshold = step as f64 / BARS.len() as f64;
        part >= threshold
    });
    BARS[step.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(samples: &[Option<f64>]) -> String {
        draw(samples.iter().copied())
    }

    #[test]
    fn the_largest_is_full_and_the_smallest_is_low() {
        let samples: Vec<_> = (0..=8).map(|value| Some(f64::from(value))).collect();
        assert_eq!(drawn(&samples), "▁▂▃▄▅▆▇██");
        assert_eq!(drawn(&[Some(-5.0), Some(5.0)]), "▁█");
    }

    #[test]
    fn equal_samples_are_low_and_missing_ones_are_gaps() {
        assert_eq!(drawn(&[Some(7.0), None, Some(7.0)]), "▁ ▁");
        assert_eq!(drawn(&[None, None]), "  ");
        assert_eq!(drawn(&[]), "");
    }
}
