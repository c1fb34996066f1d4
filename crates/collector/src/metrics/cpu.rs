//! Processors, from /proc/stat.

use pcp_proto::{InDom, Instance, Semantics, Units, ValueType, Values};

use super::{Metric, linux};

pub(crate) static COUNT: Metric = Metric {
    name: "hinv.ncpu",
    descriptor: linux(
        (0, 32),
        ValueType::U32,
        InDom::NULL,
        Semantics::DISCRETE,
        Units::NONE,
    ),
    one_line: "number of processors",
    help: "Processors that the kernel uses at present: those with a line of their own in /proc/stat.",
    read: |sample| {
        Ok(Values::InSitu(vec![(
            Instance::NULL,
            *sample.processors()?,
        )]))
    },
};

/// Counts the lines `cpu0 ...`, `cpu1 ...`; the line `cpu  ...` is the sum of them.
pub(crate) fn parse(text: &str) -> Option<u32> {
    let is_processor = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match text.lines().filter(is_processor).count() {
        0 => None,
        count => u32::try_from(count).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_is_counted_and_the_sum_is_not() {
        let text = "cpu  10 20\ncpu0 5 10\ncpu1 5 10\nintr 12345 0 0\nctxt 99\n";
        assert_eq!(parse(text), Some(2));
        assert_eq!(parse("intr 1\n"), None);
    }
}
