//! How long the kernel runs, from /proc/uptime.

use pcp_proto::{InDom, Semantics, TimeScale, Units, ValueBlock, ValueType};

use super::{Metric, linux, single};

pub(crate) static UPTIME: Metric = Metric {
    name: "kernel.all.uptime",
    descriptor: linux(
        (26, 0),
        ValueType::DOUBLE,
        InDom::NULL,
        Semantics::INSTANT,
        Units::time(TimeScale::Second),
    ),
    one_line: "time since the kernel was started",
    help: "Seconds since the kernel was started, suspended time included, from /proc/uptime.",
    read: |sample| Ok(single(ValueBlock::double(*sample.uptime()?))),
};

/// Reads `866.87 1700.12`.
pub(crate) fn parse(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_the_uptime() {
        assert_eq!(parse("866.87 1700.12\n"), Some(866.87));
        assert_eq!(parse(""), None);
    }
}
