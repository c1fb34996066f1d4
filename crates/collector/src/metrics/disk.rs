//! Disks, from /proc/diskstats.

use pcp_proto::{
    Descriptor, InDom, Instance, Semantics, Status, Units, ValueBlock, ValueType, Values,
};

use super::{Domain, LINUX, Metric, linux};
use crate::host::Sample;

/// A disk and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    number: Instance,
    name: String,
    reads: u64,
    writes: u64,
}

pub(crate) static DISKS: Domain = Domain {
    indom: InDom::new(LINUX, 1),
    one_line: "disks",
    help: "Whole disks of /proc/diskstats: no partitions, and no devices that are made from other\n\
           storage or from memory. The number of a disk is made from its device numbers.",
    labels: &[("device_type", "\"block\""), ("indom_name", "\"per disk\"")],
    instance_label: Some("device_name"),
    instances: |sample| {
        let disks = sample.disks()?.iter();
        Ok(disks.map(|disk| (disk.number, disk.name.clone())).collect())
    },
};

const fn counter(item: u16) -> Descriptor {
    linux(
        (0, item),
        ValueType::U64,
        InDom::new(LINUX, 1),
        Semantics::COUNTER,
        Units::COUNT,
    )
}

pub(crate) static READ: Metric = Metric {
    name: "disk.dev.read",
    descriptor: counter(4),
    one_line: "reads completed by each disk",
    help: "Read operations that the disk has completed since it is there, from /proc/diskstats.",
    read: |sample| per_disk(sample, |disk| disk.reads),
};

pub(crate) static WRITE: Metric = Metric {
    name: "disk.dev.write",
    descriptor: counter(5),
    one_line: "writes completed by each disk",
    help: "Write operations that the disk has completed since it is there, from /proc/diskstats.",
    read: |sample| per_disk(sample, |disk| disk.writes),
};

fn per_disk(sample: &Sample<'_>, value: fn(&Disk) -> u64) -> Result<Values, Status> {
    let disks = sample.disks()?.iter();
    Ok(Values::Blocks(
        disks
            .map(|disk| (disk.number, ValueBlock::u64(value(disk))))
            .collect(),
    ))
}

/// Reads lines such as `254 0 vda 33121 7122 3725946 9651 9018 ...`.
pub(crate) fn parse(text: &str) -> Option<Vec<Disk>> {
    let all = text.lines().map(parse_line).collect::<Option<Vec<_>>>()?;
    let is_whole = |disk: &&Disk| {
        !all.iter()
            .any(|other| is_partition(&disk.name, &other.name))
    };
    let disks = all.iter().filter(|disk| !is_virtual(&disk.name));
    Some(disks.filter(is_whole).cloned().collect())
}

/// Bits of the minor device number.
const MINOR_BITS: u32 = 20;

fn parse_line(line: &str) -> Option<Disk> {
    let mut words = line.split_ascii_whitespace();
    let major: u32 = words.next()?.parse().ok()?;
    let minor: u32 = words.next()?.parse().ok()?;
    Some(Disk {
        number: Instance(major.checked_shl(MINOR_BITS)? | minor),
        name: words.next()?.to_owned(),
        reads: words.next()?.parse().ok()?,
        writes: words.nth(3)?.parse().ok()?,
    })
}

/// Devices over files, memory or other devices.
fn is_virtual(name: &str) -> bool {
    const FAMILIES: [&str; 7] = ["dm-", "fd", "loop", "md", "ram", "sr", "zram"];
    FAMILIES.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// Whether `name` is that of a partition of `disk`: `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`.
fn is_partition(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else {
        return false;
    };
    let number = if disk.ends_with(|c: char| c.is_ascii_digit()) {
        rest.strip_prefix('p')
    } else {
        Some(rest)
    };
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|disk| disk.name)
            .collect()
    }

    #[test]
    fn reads_and_writes_are_counted_for_each_disk() {
        let text = " 254 0 vda 33121 7122 3725946 9651 9018 13486 914400 1600 0 3560 11507 4085\n";
        let disk = Disk {
            number: Instance(254 << 20),
            name: "vda".into(),
            reads: 33_121,
            writes: 9_018,
        };
        assert_eq!(parse(text), Some(vec![disk]));
        assert_eq!(parse("254 0 vda 1 2\n"), None);
    }

    #[test]
    fn partitions_and_virtual_devices_are_left_out() {
        let line = |name| format!("8 0 {name} 1 2 3 4 5 6 7 8 9 10 11\n");
        let all = [
            "sda",
            "sda1",
            "sda15",
            "sdaa",
            "sdaa1",
            "nvme0n1",
            "nvme0n1p1",
            "nvme0n10",
            "mmcblk0",
            "mmcblk0p2",
            "loop0",
            "ram1",
            "zram0",
            "dm-0",
            "md127",
            "sr0",
            "xvda1",
        ];
        let text: String = all.iter().map(|name| line(*name)).collect();
        let disks = ["sda", "sdaa", "nvme0n1", "nvme0n10", "mmcblk0", "xvda1"];
        assert_eq!(names(&text), disks);
    }
}
