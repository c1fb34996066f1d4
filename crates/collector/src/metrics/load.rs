//! Load averages, from /proc/loadavg.

use pcp_proto::{InDom, Instance, Semantics, Units, ValueBlock, ValueType, Values};

use super::{Domain, LINUX, Metric, linux};

/// The minutes that each average looks back; they are the numbers of the instances.
const MINUTES: [u32; 3] = [1, 5, 15];

pub(crate) static AVERAGES: Domain = Domain {
    indom: InDom::new(LINUX, 2),
    one_line: "spans of the load averages: 1, 5 and 15 minutes",
    help: "Each instance is a load average over the last 1, 5 or 15 minutes; its number is the\n\
           number of minutes.",
    labels: &[],
    instance_label: None,
    instances: |_| {
        Ok(MINUTES
            .map(|minutes| (Instance(minutes), format!("{minutes} minute")))
            .into())
    },
};

pub(crate) static LOAD: Metric = Metric {
    name: "kernel.all.load",
    descriptor: linux(
        (2, 0),
        ValueType::FLOAT,
        InDom::new(LINUX, 2),
        Semantics::INSTANT,
        Units::NONE,
    ),
    one_line: "load averages over 1, 5 and 15 minutes",
    help: "How many processes were running, ready to run, or waiting for a disk, as averages that\n\
           the kernel keeps in /proc/loadavg.",
    read: |sample| {
        let averages = MINUTES.iter().zip(sample.load()?);
        Ok(Values::Blocks(
            averages
                .map(|(&minutes, &load)| (Instance(minutes), ValueBlock::float(load)))
                .collect(),
        ))
    },
};

/// Reads `0.02 0.05 0.01 1/99 4711`.
pub(crate) fn parse(text: &str) -> Option<[f32; 3]> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_averages_are_read() {
        assert_eq!(
            parse("0.02 0.05 0.01 1/99 4711\n"),
            Some([0.02, 0.05, 0.01])
        );
        assert_eq!(parse("0.02 0.05"), None);
        assert_eq!(parse("a b c"), None);
    }
}
