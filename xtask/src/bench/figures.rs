//! What is measured: figures, one measurement's sample of them, and the arithmetic over rounds.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// One quantity of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    /// Round trips per second.
    Rate,
    /// Median latency of a round trip, in microseconds.
    P50,
    /// 99th percentile of the latency, in microseconds.
    P99,
    /// Latency of the first one that a program makes, in microseconds.
    First,
    /// User and system time of the proxy for one round trip, in microseconds.
    Cpu,
    /// What a stream carries in a second, in bytes.
    Throughput,
    /// User and system time of the proxy for a MiB of a stream, in microseconds.
    StreamCpu,
    /// Resident memory of the proxy for one idle connection, in bytes.
    IdleMemory,
    /// Resident memory of the proxy for one connection that makes calls all the time, in bytes.
    BusyMemory,
    /// Resident memory by which one client that reads nothing made the proxy grow, in bytes.
    StalledMemory,
    /// Resident memory of the program after look-ups, in bytes.
    Resident,
    /// Clients that were served while all of them stayed.
    Served,
}

impl Figure {
    const ALL: [Figure; 12] = [
        Figure::Rate,
        Figure::P50,
        Figure::P99,
        Figure::First,
        Figure::Cpu,
        Figure::Throughput,
        Figure::StreamCpu,
        Figure::IdleMemory,
        Figure::BusyMemory,
        Figure::StalledMemory,
        Figure::Resident,
        Figure::Served,
    ];

    /// What a load of round trips tells.
    pub(super) const OF_ROUND_TRIPS: [Figure; 4] =
        [Figure::Rate, Figure::P50, Figure::P99, Figure::Cpu];

    /// The word for it on the line that the load generator prints.
    fn key(self) -> &'static str {
        match self {
            Figure::Rate => "rate",
            Figure::P50 => "p50",
            Figure::P99 => "p99",
            Figure::First => "first",
            Figure::Cpu => "cpu",
            Figure::Throughput => "throughput",
            Figure::StreamCpu => "stream-cpu",
            Figure::IdleMemory => "idle",
            Figure::BusyMemory => "busy",
            Figure::StalledMemory => "stalled",
            Figure::Resident => "resident",
            Figure::Served => "served",
        }
    }

    /// The head of its column, with the unit.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Figure::Rate => "round trips/s",
            Figure::P50 => "p50 µs",
            Figure::P99 => "p99 µs",
            Figure::First => "first µs",
            Figure::Cpu => "CPU µs",
            Figure::Throughput => "MB/s",
            Figure::StreamCpu => "CPU µs per MiB",
            Figure::IdleMemory => "kB per idle connection",
            Figure::BusyMemory => "kB per busy connection",
            Figure::StalledMemory => "MB grown by a client that reads nothing",
            Figure::Resident => "MB after look-ups",
            Figure::Served => "clients served",
        }
    }

    /// Whether it is the time of a proxy, which a direct connection has none of.
    pub(super) fn is_cpu(self) -> bool {
        matches!(self, Figure::Cpu | Figure::StreamCpu)
    }

    /// A value as a cell of its column shows it.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Figure::Rate | Figure::Served => grouped(value, 0),
            Figure::P50 | Figure::P99 | Figure::First | Figure::Cpu | Figure::StreamCpu => {
                grouped(value, 1)
            }
            Figure::Throughput => grouped(value / 1e6, 0),
            Figure::IdleMemory | Figure::BusyMemory => grouped(value / 1e3, 2),
            Figure::StalledMemory | Figure::Resident => grouped(value / 1e6, 1),
        }
    }
}

/// `value` with so many decimals and a comma between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let whole = plain.find('.').unwrap_or(plain.len());
    let mut text = String::with_capacity(plain.len() + whole / 3);
    for (at, digit) in plain.char_indices() {
        let follows_digit = text.ends_with(|c: char| c.is_ascii_digit());
        if at < whole && follows_digit && (whole - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The figures of one measurement. Its text form is the line that the load generator prints.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample(BTreeMap<Figure, f64>);

impl Sample {
    pub(super) fn with(mut self, figure: Figure, value: f64) -> Sample {
        self.0.insert(figure, value);
        self
    }

    pub(super) fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(&figure).copied()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (figure, value)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{}={value}", figure.key())?;
        }
        Ok(())
    }
}

impl FromStr for Sample {
    type Err = Error;

    fn from_str(line: &str) -> Result<Sample> {
        let mut sample = Sample::default();
        for word in line.split_whitespace() {
            let (key, value) = word
                .split_once('=')
                .with_context(|| format!("no = in {word:?}"))?;
            let Some(figure) = Figure::ALL.into_iter().find(|figure| figure.key() == key) else {
                bail!("no figure is called {key:?}");
            };
            let value = value
                .parse()
                .with_context(|| format!("{value:?} is not a number"))?;
            sample = sample.with(figure, value);
        }
        Ok(sample)
    }
}

/// The median, if there is any value: of an even number of values the mean of the middle two.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[upper]),
        _ => Some(f64::midpoint(values[upper - 1], values[upper])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median([]), None);
        assert_eq!(median([4.0]), Some(4.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_sample_survives_the_pipe_from_the_load_generator() {
        let sample = Sample::default()
            .with(Figure::Rate, 64_812.375)
            .with(Figure::Cpu, 13.9);
        assert_eq!(sample.to_string(), "rate=64812.375 cpu=13.9");
        assert_eq!(sample.to_string().parse::<Sample>().unwrap(), sample);
        assert_eq!("".parse::<Sample>().unwrap(), Sample::default());
    }

    #[test]
    fn a_line_that_is_no_sample_is_refused() {
        for line in ["rate", "rate=fast", "speed=1"] {
            assert!(line.parse::<Sample>().is_err(), "{line}");
        }
    }

    #[test]
    fn thousands_are_grouped_on_both_sides_of_zero() {
        assert_eq!(grouped(0.0, 0), "0");
        assert_eq!(grouped(999.96, 1), "1,000.0");
        assert_eq!(grouped(-123.4, 1), "-123.4");
        assert_eq!(grouped(-1234.0, 0), "-1,234");
        assert_eq!(grouped(1_234_567.0, 2), "1,234,567.00");
    }

    #[test]
    fn figures_are_shown_in_the_unit_of_their_heading() {
        assert_eq!(Figure::Rate.show(64_812.4), "64,812");
        assert_eq!(Figure::Cpu.show(13.92), "13.9");
        assert_eq!(Figure::IdleMemory.show(160.0), "0.16");
        assert_eq!(Figure::StalledMemory.show(2_000_000_000.0), "2,000.0");
    }
}
