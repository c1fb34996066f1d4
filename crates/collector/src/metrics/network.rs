//! Network interfaces, from /proc/net/dev.

use pcp_proto::{
    Descriptor, InDom, Instance, Semantics, SpaceScale, Status, Units, ValueBlock, ValueType,
    Values,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

use super::{Domain, LINUX, Metric, linux};
use crate::host::Sample;

/// An interface and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    number: Instance,
    name: String,
    in_bytes: u64,
    out_bytes: u64,
}

pub(crate) static INTERFACES: Domain = Domain {
    indom: InDom::new(LINUX, 3),
    one_line: "network interfaces",
    help: "The network interfaces of /proc/net/dev, with the kernel's own number for each.",
    labels: &[
        ("device_type", "\"interface\""),
        ("indom_name", "\"per interface\""),
    ],
    instance_label: Some("interface"),
    instances: |sample| {
        let interfaces = sample.interfaces()?.iter();
        Ok(interfaces
            .map(|interface| (interface.number, interface.name.clone()))
            .collect())
    },
};

const fn counter(item: u16) -> Descriptor {
    linux(
        (3, item),
        ValueType::U64,
        InDom::new(LINUX, 3),
        Semantics::COUNTER,
        Units::space(SpaceScale::Byte),
    )
}

pub(crate) static IN_BYTES: Metric = Metric {
    name: "network.interface.in.bytes",
    descriptor: counter(0),
    one_line: "bytes received by each network interface",
    help: "Bytes that came in since the interface exists: the first number of its line in\n\
           /proc/net/dev.",
    read: |sample| per_interface(sample, |interface| interface.in_bytes),
};

pub(crate) static OUT_BYTES: Metric = Metric {
    name: "network.interface.out.bytes",
    descriptor: counter(8),
    one_line: "bytes sent by each network interface",
    help: "Bytes that went out since the interface exists: the ninth number of its line in\n\
           /proc/net/dev.",
    read: |sample| per_interface(sample, |interface| interface.out_bytes),
};

fn per_interface(sample: &Sample<'_>, value: fn(&Interface) -> u64) -> Result<Values, Status> {
    let interfaces = sample.interfaces()?.iter();
    Ok(Values::Blocks(
        interfaces
            .map(|interface| (interface.number, ValueBlock::u64(value(interface))))
            .collect(),
    ))
}

/// The kernel's number for an interface: unlike a place in a list it stays the same while others
/// come and go.
pub(crate) fn interface_number(name: &str) -> Option<u32> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    );
    netdevice::name_to_index(socket.ok()?, name).ok()
}

/// Reads lines such as `  eth0: 535 28 0 0 0 0 0 0 268992 22 ...`; two lines of headings have no
/// colon. An interface without a number has gone in the meantime and is left out.
pub(crate) fn parse(text: &str, number: fn(&str) -> Option<u32>) -> Option<Vec<Interface>> {
    let lines = text.lines().filter_map(|line| line.rsplit_once(':'));
    let mut interfaces = Vec::new();
    for (name, counters) in lines {
        let name = name.trim();
        let mut counters = counters.split_ascii_whitespace();
        let in_bytes = counters.next()?.parse().ok()?;
        let out_bytes = counters.nth(7)?.parse().ok()?;
        let Some(number) = number(name) else { continue };
        interfaces.push(Interface {
            number: Instance(number),
            name: name.to_owned(),
            in_bytes,
            out_bytes,
        });
    }
    Some(interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:   94606    1233    0    0    0     0          0         0    94607    1233    0    0
  eth0:53587623    2850    0    0    0     0          0         0   268992    2237    0    0
";

    #[test]
    fn received_and_sent_bytes_are_read_for_each_interface() {
        let number = |name: &str| (name == "lo").then_some(1).or(Some(7));
        let interface = |number, name: &str, in_bytes, out_bytes| Interface {
            number: Instance(number),
            name: name.to_owned(),
            in_bytes,
            out_bytes,
        };
        let wanted = vec![
            interface(1, "lo", 94_606, 94_607),
            interface(7, "eth0", 53_587_623, 268_992),
        ];
        assert_eq!(parse(TEXT, number), Some(wanted));
    }

    #[test]
    fn an_interface_that_has_gone_is_left_out() {
        let interfaces = parse(TEXT, |name| (name == "lo").then_some(1)).unwrap();
        assert_eq!(interfaces.len(), 1);
        assert_eq!(parse("eth0: 1 2\n", |_| Some(1)), None);
    }

    #[test]
    fn the_loopback_interface_has_a_number() {
        assert!(interface_number("lo").is_some());
        assert_eq!(interface_number("no-such-if"), None);
    }
}
