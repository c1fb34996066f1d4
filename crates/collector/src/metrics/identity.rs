//! What the collector says of itself, as pmcd's own agent does.

use pcp_proto::{Descriptor, InDom, PmId, Semantics, Status, Units, ValueBlock, ValueType, Values};

use super::{Metric, PMCD, single};

const fn text(item: u16) -> Descriptor {
    Descriptor {
        pmid: PmId::new(PMCD, 0, item),
        value_type: ValueType::STRING,
        indom: InDom::NULL,
        semantics: Semantics::DISCRETE,
        units: Units::NONE,
    }
}

pub(crate) static VERSION: Metric = Metric {
    name: "pmcd.version",
    descriptor: text(7),
    one_line: "version of the collector",
    help: "The version of this collector, which is none of PCP's.",
    read: |_| value(env!("CARGO_PKG_VERSION")),
};

pub(crate) static HOSTNAME: Metric = Metric {
    name: "pmcd.hostname",
    descriptor: text(21),
    one_line: "name of the host",
    help: "The name that the collector was given with -H, or else the kernel's name for the host.",
    read: |sample| value(sample.host_name()),
};

fn value(text: &str) -> Result<Values, Status> {
    ValueBlock::string(text).map(single).ok_or(Status::TOO_BIG)
}
