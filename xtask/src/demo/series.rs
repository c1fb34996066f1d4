//! The values of one instance of a metric over the last samples.

use std::collections::VecDeque;

use pcp_proto::{Descriptor, Instance, Semantics};

use super::{quantity, sparkline};

/// What is known of one instance of a metric.
pub(super) struct Series {
    /// The instance.
    pub(super) instance: Instance,
    /// The metric, and its instance if it has several.
    pub(super) label: String,
    descriptor: Descriptor,
    last: Option<Reading>,
    /// Values, or for a counter its rates, the newest last.
    samples: VecDeque<Option<f64>>,
}

#[derive(Clone, Copy)]
struct Reading {
    seconds: f64,
    value: f64,
}

impl Series {
    /// Nothing is known yet.
    pub(super) fn new(label: String, instance: Instance, descriptor: Descriptor) -> Series {
        Series {
            instance,
            label,
            descriptor,
            last: None,
            samples: VecDeque::with_capacity(sparkline::WIDTH),
        }
    }

    /// Takes what a fetch found at a time in seconds.
    pub(super) fn record(&mut self, seconds: f64, value: Option<f64>) {
        let reading = value.map(|value| Reading { seconds, value });
        let sample = if self.is_counter() {
            self.last
                .zip(reading)
                .and_then(|(last, reading)| reading.rate_since(last))
        } else {
            value
        };
        if self.samples.len() == sparkline::WIDTH {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.last = reading;
    }

    /// The newest value or rate; for a counter without a rate yet, its total.
    pub(super) fn text(&self) -> String {
        let units = self.descriptor.units;
        let sample = self.samples.back().copied().flatten();
        match (sample, self.last) {
            (Some(sample), _) => quantity::text(sample, units, self.is_counter()),
            (None, Some(last)) => quantity::text(last.value, units, false),
            (None, None) => "no value".to_owned(),
        }
    }

    /// Whether [`Series::text`] is the total of a counter.
    pub(super) fn shows_total(&self) -> bool {
        self.is_counter() && self.samples.back().copied().flatten().is_none()
    }

    /// The last samples as bars.
    pub(super) fn bars(&self) -> String {
        sparkline::draw(self.samples.iter().copied())
    }

    /// Whether its movement is worth a look: a value that seldom changes, or a time that runs, has
    /// none.
    pub(super) fn moves(&self) -> bool {
        self.descriptor.semantics != Semantics::DISCRETE
            && self.descriptor.units.time_dimension() == 0
    }

    fn is_counter(&self) -> bool {
        self.descriptor.semantics == Semantics::COUNTER
    }
}

impl Reading {
    /// The rate per second, unless the counter was reset or the clock stood still.
    fn rate_since(self, earlier: Reading) -> Option<f64> {
        let (passed, grown) = (self.seconds - earlier.seconds, self.value - earlier.value);
        (passed > 0.0 && grown >= 0.0).then_some(grown / passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::{InDom, PmId, Units, ValueType};

    fn series(semantics: Semantics) -> Series {
        let descriptor = Descriptor {
            pmid: PmId::new(60, 0, 4),
            value_type: ValueType::U64,
            indom: InDom::NULL,
            semantics,
            units: Units::COUNT,
        };
        Series::new("metric".into(), Instance::NULL, descriptor)
    }

    #[test]
    fn a_counter_shows_its_total_until_it_has_a_rate() {
        let mut series = series(Semantics::COUNTER);
        assert_eq!(series.text(), "no value");
        series.record(10.0, Some(1000.0));
        assert!(series.shows_total());
        assert_eq!(series.text(), "1000");
        series.record(12.0, Some(1005.0));
        assert!(!series.shows_total());
        assert_eq!(series.text(), "2.50 /s");
        assert_eq!(series.bars(), " ▁");
    }

    #[test]
    fn a_counter_that_was_reset_or_vanished_has_no_rate() {
        let mut series = series(Semantics::COUNTER);
        series.record(1.0, Some(1000.0));
        series.record(2.0, Some(1.0));
        assert_eq!(series.text(), "1");
        series.record(3.0, None);
        assert_eq!(series.text(), "no value");
        series.record(4.0, Some(9.0));
        assert_eq!(series.text(), "9");
        series.record(4.0, Some(9.0));
        assert_eq!(series.text(), "9");
    }

    #[test]
    fn only_the_last_samples_are_kept() {
        let mut series = series(Semantics::INSTANT);
        for second in 0..100 {
            series.record(f64::from(second), Some(f64::from(second)));
        }
        assert_eq!(series.bars().chars().count(), sparkline::WIDTH);
        assert_eq!(series.text(), "99");
    }
}
