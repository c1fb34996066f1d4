//! Memory, from /proc/meminfo.

use pcp_proto::{Descriptor, InDom, Semantics, SpaceScale, Units, ValueBlock, ValueType};

use super::{Metric, linux, single};

/// Amounts in kibibytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    total: u64,
    free: u64,
}

const fn kibibytes(item: u16, semantics: Semantics) -> Descriptor {
    let units = Units::space(SpaceScale::Kbyte);
    linux((1, item), ValueType::U64, InDom::NULL, semantics, units)
}

pub(crate) static TOTAL: Metric = Metric {
    name: "mem.physmem",
    descriptor: kibibytes(0, Semantics::DISCRETE),
    one_line: "memory of the machine",
    help: "MemTotal of /proc/meminfo: memory that the kernel can use. The machine may have more,\n\
           in parts that firmware and devices keep for themselves.",
    read: |sample| Ok(single(ValueBlock::u64(sample.memory()?.total))),
};

pub(crate) static USED: Metric = Metric {
    name: "mem.util.used",
    descriptor: kibibytes(1, Semantics::INSTANT),
    one_line: "memory in use",
    help: "MemTotal less MemFree of /proc/meminfo. Caches that the kernel would give up count as\n\
           used.",
    read: |sample| {
        let memory = sample.memory()?;
        Ok(single(ValueBlock::u64(
            memory.total.saturating_sub(memory.free),
        )))
    },
};

pub(crate) static FREE: Metric = Metric {
    name: "mem.util.free",
    descriptor: kibibytes(2, Semantics::INSTANT),
    one_line: "memory that nobody uses",
    help: "MemFree of /proc/meminfo.",
    read: |sample| Ok(single(ValueBlock::u64(sample.memory()?.free))),
};

/// Reads lines such as `MemTotal:       24684096 kB`.
pub(crate) fn parse(text: &str) -> Option<Memory> {
    let field = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    };
    Some(Memory {
        total: field("MemTotal")?,
        free: field("MemFree")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_fields_are_found_wherever_they_stand() {
        let text =
            "MemTotal:       24684096 kB\nMemFreeX: 1 kB\nMemAvailable: 5 kB\nMemFree: 12 kB\n";
        let memory = Memory {
            total: 24_684_096,
            free: 12,
        };
        assert_eq!(parse(text), Some(memory));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
        assert_eq!(parse("MemTotal: x kB\nMemFree: 1 kB\n"), None);
    }
}
