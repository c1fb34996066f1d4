//! The samples of all rounds, and the medians and ratios over them.

use std::collections::BTreeMap;

use super::figures::{Figure, Sample, median};
use super::suite::{Contender, Load};

/// What was measured so far: for each load and contender one entry per round, empty where the
/// measurement failed.
#[derive(Debug)]
pub(super) struct Results<C>(BTreeMap<(&'static str, C), Vec<Option<Sample>>>);

impl<C> Default for Results<C> {
    fn default() -> Results<C> {
        Results(BTreeMap::new())
    }
}

impl<C: Contender> Results<C> {
    pub(super) fn push<W: Copy>(&mut self, load: Load<W>, contender: C, sample: Option<Sample>) {
        self.0
            .entry((load.name, contender))
            .or_default()
            .push(sample);
    }

    /// Whether `contender` was put through `load`, even if it failed.
    pub(super) fn has<W>(&self, load: &Load<W>, contender: C) -> bool {
        self.0.contains_key(&(load.name, contender))
    }

    /// Each round's value; nothing for the rounds without one.
    fn values<W>(
        &self,
        load: &Load<W>,
        contender: C,
        figure: Figure,
    ) -> impl Iterator<Item = Option<f64>> + use<'_, C, W> {
        let rounds = self
            .0
            .get(&(load.name, contender))
            .map_or(&[][..], Vec::as_slice);
        rounds
            .iter()
            .map(move |sample| sample.as_ref().and_then(|sample| sample.get(figure)))
    }

    /// The median over the rounds.
    pub(super) fn median<W>(&self, load: &Load<W>, contender: C, figure: Figure) -> Option<f64> {
        median(self.values(load, contender, figure).flatten())
    }

    /// How many times the figures of `others` together that of `contender` is, within each round, then
    /// the median.
    pub(super) fn ratio_to_sum<W>(
        &self,
        load: &Load<W>,
        contender: C,
        others: &[C],
        figure: Figure,
    ) -> Option<f64> {
        let rounds = self.0.get(&(load.name, contender)).map_or(0, Vec::len);
        let in_round = |round, contender| self.values(load, contender, figure).nth(round).flatten();
        median((0..rounds).filter_map(|round| {
            let mut sum = 0.0;
            for &other in others {
                sum += in_round(round, other)?;
            }
            let value = in_round(round, contender)?;
            (sum > 0.0).then_some(value / sum)
        }))
    }

    /// How many times the figure of `other` that of `contender` is: the ratio within each round,
    /// where both had the same noise around them, then the median.
    pub(super) fn ratio<W>(
        &self,
        load: &Load<W>,
        contender: C,
        other: C,
        figure: Figure,
    ) -> Option<f64> {
        let pairs = self
            .values(load, contender, figure)
            .zip(self.values(load, other, figure));
        median(pairs.filter_map(|pair| match pair {
            (Some(value), Some(base)) if base > 0.0 => Some(value / base),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pmproxy::{Contender, LOADS};
    use super::*;

    fn results(ours: &[Option<f64>], c: &[Option<f64>]) -> Results<Contender> {
        let mut results = Results::default();
        for (contender, rates) in [(Contender::Ours, ours), (Contender::C, c)] {
            for rate in rates {
                let sample = rate.map(|rate| Sample::default().with(Figure::Rate, rate));
                results.push(LOADS[0], contender, sample);
            }
        }
        results
    }

    #[test]
    fn a_ratio_is_taken_within_each_round_before_the_median() {
        let results = results(
            &[Some(2.0), Some(30.0), Some(8.0)],
            &[Some(1.0), Some(10.0), Some(8.0)],
        );
        let ratio = results.ratio(&LOADS[0], Contender::Ours, Contender::C, Figure::Rate);
        assert_eq!(ratio, Some(2.0));
        assert_eq!(
            results.median(&LOADS[0], Contender::Ours, Figure::Rate),
            Some(8.0)
        );
    }

    #[test]
    fn a_round_that_failed_for_either_counts_for_neither() {
        let results = results(&[Some(2.0), None, Some(9.0)], &[Some(1.0), Some(1.0), None]);
        let ratio = results.ratio(&LOADS[0], Contender::Ours, Contender::C, Figure::Rate);
        assert_eq!(ratio, Some(2.0));
    }

    #[test]
    fn a_ratio_to_a_sum_needs_all_of_it_in_the_round() {
        let mut results = results(
            &[Some(2.0), Some(30.0), Some(8.0)],
            &[Some(1.0), Some(20.0), None],
        );
        for rate in [3.0, 40.0, 1.0] {
            let sample = Sample::default().with(Figure::Rate, rate);
            results.push(LOADS[0], Contender::Direct, Some(sample));
        }
        let sum = [Contender::Direct, Contender::C];
        let ratio = results.ratio_to_sum(&LOADS[0], Contender::Ours, &sum, Figure::Rate);
        assert_eq!(ratio, Some(0.5));
        let nothing = results.ratio_to_sum(&LOADS[1], Contender::Ours, &sum, Figure::Rate);
        assert_eq!(nothing, None);
    }

    #[test]
    fn what_was_not_measured_has_no_median() {
        let results = results(&[None], &[Some(0.0)]);
        assert_eq!(
            results.median(&LOADS[0], Contender::Ours, Figure::Rate),
            None
        );
        assert_eq!(results.median(&LOADS[1], Contender::C, Figure::Rate), None);
        let against_zero = results.ratio(&LOADS[0], Contender::C, Contender::C, Figure::Rate);
        assert_eq!(against_zero, None);
    }
}
