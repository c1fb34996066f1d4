//! The metrics: what each is, and how its values are taken from a sample of the host.

pub(crate) mod cpu;
pub(crate) mod disk;
mod identity;
pub(crate) mod load;
pub(crate) mod memory;
pub(crate) mod network;
pub(crate) mod uptime;

use pcp_proto::{
    Descriptor, InDom, Instance, PmId, Semantics, Status, Units, ValueBlock, ValueType, Values,
};

use crate::host::Sample;

/// The domain of PCP's agent for Linux.
const LINUX: u16 = 60;
/// The domain of PCP's agent for pmcd itself.
const PMCD: u16 = 2;

/// The agents that a client sees, by domain.
pub(crate) const AGENTS: [(u16, &str); 2] = [(PMCD, "pmcd"), (LINUX, "linux")];

/// Something that is measured.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its full name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) descriptor: Descriptor,
    /// Help in one line.
    pub(crate) one_line: &'static str,
    /// All help.
    pub(crate) help: &'static str,
    /// Takes its values; none of them is an empty list, not [`Values::Missing`].
    pub(crate) read: fn(&Sample<'_>) -> Result<Values, Status>,
}

/// What metrics have values for.
#[derive(Debug)]
pub(crate) struct Domain {
    /// Its identifier.
    pub(crate) indom: InDom,
    /// Help in one line.
    pub(crate) one_line: &'static str,
    /// All help.
    pub(crate) help: &'static str,
    /// Labels of the domain; their values are JSON.
    pub(crate) labels: &'static [(&'static str, &'static str)],
    /// The label that holds an instance's name, if there is one.
    pub(crate) instance_label: Option<&'static str>,
    /// Its instances.
    pub(crate) instances: fn(&Sample<'_>) -> Result<Named, Status>,
}

/// Instances and their names.
pub(crate) type Named = Vec<(Instance, String)>;

/// All metrics, in the order of the name space.
pub(crate) static METRICS: [&Metric; 12] = [
    &load::LOAD,
    &uptime::UPTIME,
    &cpu::COUNT,
    &memory::TOTAL,
    &memory::USED,
    &memory::FREE,
    &network::IN_BYTES,
    &network::OUT_BYTES,
    &disk::READ,
    &disk::WRITE,
    &identity::VERSION,
    &identity::HOSTNAME,
];

/// All instance domains.
pub(crate) static DOMAINS: [&Domain; 3] = [&disk::DISKS, &load::AVERAGES, &network::INTERFACES];

/// The metric with this identifier.
///
/// # Errors
/// Whether its agent or only the metric is unknown.
pub(crate) fn metric(pmid: PmId) -> Result<&'static Metric, Status> {
    let known = METRICS.iter().find(|metric| metric.descriptor.pmid == pmid);
    known.copied().ok_or_else(|| {
        let has_agent = AGENTS
            .iter()
            .any(|&(domain, _)| u32::from(domain) == pmid.domain());
        if has_agent {
            Status::PMID
        } else {
            Status::NO_AGENT
        }
    })
}

/// The instance domain with this identifier.
pub(crate) fn domain(indom: InDom) -> Option<&'static Domain> {
    DOMAINS.iter().copied().find(|domain| domain.indom == indom)
}

/// A descriptor of the agent for Linux.
const fn linux(
    (cluster, item): (u16, u16),
    value_type: ValueType,
    indom: InDom,
    semantics: Semantics,
    units: Units,
) -> Descriptor {
    let pmid = PmId::new(LINUX, cluster, item);
    Descriptor {
        pmid,
        value_type,
        indom,
        semantics,
        units,
    }
}

/// The value of a metric without an instance domain.
fn single(block: ValueBlock) -> Values {
    Values::Blocks(vec![(Instance::NULL, block)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_metrics_have_a_name_or_an_identifier_in_common() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        let pmids: HashSet<_> = METRICS
            .iter()
            .map(|metric| metric.descriptor.pmid)
            .collect();
        assert_eq!((names.len(), pmids.len()), (METRICS.len(), METRICS.len()));
    }

    #[test]
    fn every_metric_has_a_known_instance_domain_and_both_helps() {
        for metric in METRICS {
            let indom = metric.descriptor.indom;
            assert!(
                indom == InDom::NULL || domain(indom).is_some(),
                "{}",
                metric.name
            );
            assert!(!metric.one_line.contains('\n') && !metric.one_line.is_empty());
            assert!(!metric.help.is_empty());
        }
    }

    #[test]
    fn an_unknown_metric_and_an_unknown_agent_are_told_apart() {
        assert_eq!(metric(PmId::new(60, 2, 0)).unwrap().name, "kernel.all.load");
        assert_eq!(metric(PmId::new(60, 2, 1)).unwrap_err(), Status::PMID);
        assert_eq!(metric(PmId::new(61, 2, 0)).unwrap_err(), Status::NO_AGENT);
    }
}
