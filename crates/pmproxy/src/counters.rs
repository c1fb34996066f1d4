//! The daemon's own numbers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gate::relay::{Side, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::connects::ConnectTimes;
use crate::pdu_tally::PduCounts;
use crate::targets::Targets;

/// Why a client was not served, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Reason {
    /// It did not speak pmproxy's protocol.
    Greeting,
    /// It named no pmcd that could exist.
    Target,
    /// It stalled before its session began.
    Stalled,
    /// It left before its session began.
    Left,
    /// Its pmcd has a name that cannot be resolved.
    Unresolved,
    /// Its pmcd cannot be connected to.
    Unreachable,
    /// It has shown no certificate or does not authenticate itself, although it must.
    Unauthenticated,
    /// A secure channel cannot be had, with it or with its pmcd.
    Insecure,
    /// The access policy does not let it reach its pmcd.
    Denied,
    /// It has as many connections as the access policy lets it have, or opens them too fast.
    Limited,
    /// There are as many clients as there may be.
    Full,
    /// It sent a PDU of a length that is not allowed.
    PduLength,
    /// The system failed.
    System,
}

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Reason; 13] = [
        Reason::Greeting,
        Reason::Target,
        Reason::Stalled,
        Reason::Left,
        Reason::Unresolved,
        Reason::Unreachable,
        Reason::Unauthenticated,
        Reason::Insecure,
        Reason::Denied,
        Reason::Limited,
        Reason::Full,
        Reason::PduLength,
        Reason::System,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: Reason,
}

/// What is counted outside the relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Connections taken.
    pub(crate) clients: Counter<u64, AtomicU64>,
    /// How long it took to connect to a pmcd.
    pub(crate) connected: Arc<ConnectTimes>,
    /// How long it took to find that it cannot be done.
    pub(crate) failed: Arc<ConnectTimes>,
    pub(crate) targets: Targets,
    refused: Family<Refused, Counter<u64, AtomicU64>>,
}

impl Counters {
    /// Notes that a client was not served.
    pub(crate) fn refuse(&self, reason: Reason) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// How many clients were not served for this reason.
    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        let counter = self.refused.get(&Refused { reason });
        counter.map_or(0, |counter| counter.get())
    }
}

/// What is counted elsewhere, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Clients within the limit.
    pub(crate) connected: usize,
    /// What the relay has moved.
    pub(crate) totals: Totals,
    /// What its inspectors have counted.
    pub(crate) pdus: PduCounts,
}

/// All numbers of the daemon.
#[derive(Clone)]
pub(crate) struct Numbers {
    counters: Counters,
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Numbers {
    /// Those in `counters`, and what `read` gives.
    pub(crate) fn new<F>(counters: Counters, read: F) -> Numbers
    where
        F: Fn() -> Reading + Send + Sync + 'static,
    {
        Numbers {
            counters,
            read: Arc::new(read),
        }
    }

    /// What is counted outside the relay.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is counted elsewhere.
    pub(crate) fn read(&self) -> Reading {
        (self.read)()
    }

    /// As readers of Prometheus text see them.
    pub(crate) fn registry(&self) -> Registry {
        let counters = &self.counters;
        let mut registry = Registry::with_prefix("pmproxy");
        registry.register(
            "clients",
            "Connections taken from clients",
            counters.clients.clone(),
        );
        registry.register(
            "refused",
            "Clients that were not served, by reason",
            counters.refused.clone(),
        );
        registry.register_collector(Box::new(self.clone()));
        registry
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let reading = self.read();
        encode_relay(&mut encoder, &reading)?;
        encode_connects(&mut encoder, &self.counters)?;
        encode_targets(&mut encoder, &self.counters.targets)
    }
}

fn encode_relay(encoder: &mut DescriptorEncoder<'_>, reading: &Reading) -> fmt::Result {
    let totals = reading.totals;
    let connected = reading.connected as u64;
    for (name, help, value) in [
        ("connected", "Clients within the limit now", connected),
        (
            "sessions",
            "Clients connected to a pmcd now",
            totals.sessions,
        ),
    ] {
        gauge(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    let help = "Bytes relayed";
    let mut bytes = encoder.encode_descriptor("bytes", help, None, MetricType::Counter)?;
    for (side, count) in [
        (Side::Client, totals.to_server),
        (Side::Server, totals.to_client),
    ] {
        let label = [("direction", direction(side))];
        ConstCounter::new(count).encode(bytes.encode_family(&label)?)?;
    }
    let help = "PDUs relayed";
    let mut family = encoder.encode_descriptor("pdus", help, None, MetricType::Counter)?;
    for side in [Side::Client, Side::Server] {
        for (name, count) in reading.pdus.from(side) {
            let labels = [("direction", direction(side)), ("type", name)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn encode_connects(encoder: &mut DescriptorEncoder<'_>, counters: &Counters) -> fmt::Result {
    let help = "Time from the look-up of a pmcd's name to the connection, or to the failure";
    let (name, unit) = ("connect", Unit::Seconds);
    let mut family = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
    for (outcome, times) in [
        ("connected", &counters.connected),
        ("failed", &counters.failed),
    ] {
        let times = times.read();
        family
            .encode_family(&[("outcome", outcome)])?
            .encode_histogram::<NoLabelSet>(
                times.seconds(),
                times.count(),
                &times.by_bound(),
                None,
            )?;
    }
    Ok(())
}

fn encode_targets(encoder: &mut DescriptorEncoder<'_>, targets: &Targets) -> fmt::Result {
    let (known, other) = targets.read();
    let known = known
        .into_iter()
        .map(|(target, count)| (target.to_string(), count));
    let counts: Vec<_> = known.chain([("other".into(), other)]).collect();
    let (name, help) = ("target_sessions", "Clients connected now, by pmcd");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (target, count) in &counts {
        gauge(count.now).encode(family.encode_family(&[("target", &**target)])?)?;
    }
    let (name, help) = ("target_connections", "Connections made, by pmcd");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (target, count) in &counts {
        let label = [("target", &**target)];
        ConstCounter::new(count.ever).encode(family.encode_family(&label)?)?;
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Where what comes from this side goes.
fn direction(from: Side) -> &'static str {
    match from {
        Side::Client => "to_pmcd",
        Side::Server => "to_client",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu_tally::PduTally;
    use pcp_proto::PduType;
    use pcp_proto::greeting::Target;
    use std::num::NonZeroU16;
    use std::time::Duration;

    #[test]
    fn no_reason_is_forgotten() {
        let places = Reason::ALL.map(|reason| reason as usize);
        assert!(places.into_iter().eq(0..=Reason::System as usize));
    }

    #[test]
    fn the_numbers_are_written_as_prometheus_reads_them() {
        let counters = Counters::default();
        counters.clients.inc();
        counters.refuse(Reason::PduLength);
        counters.failed.observe(Duration::from_millis(750));
        let target = Target::new("nas1", NonZeroU16::MIN).unwrap();
        let _connection = counters.targets.connect(&target);
        let totals = Totals {
            sessions: 3,
            to_server: 10,
            to_client: 20,
        };
        let tally = PduTally::default();
        tally.count(Side::Client, PduType::FETCH);
        let numbers = Numbers::new(counters, move || Reading {
            connected: 4,
            totals,
            pdus: PduCounts::sum([&tally].into_iter()),
        });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &numbers.registry()).unwrap();
        for line in [
            "pmproxy_clients_total 1",
            "pmproxy_refused_total{reason=\"PduLength\"} 1",
            "pmproxy_connected 4",
            "pmproxy_sessions 3",
            "pmproxy_bytes_total{direction=\"to_pmcd\"} 10",
            "pmproxy_bytes_total{direction=\"to_client\"} 20",
            "pmproxy_pdus_total{direction=\"to_pmcd\",type=\"FETCH\"} 1",
            "pmproxy_pdus_total{direction=\"to_client\",type=\"other\"} 0",
            "pmproxy_connect_seconds_bucket{le=\"0.5\",outcome=\"failed\"} 0",
            "pmproxy_connect_seconds_bucket{le=\"1.0\",outcome=\"failed\"} 1",
            "pmproxy_connect_seconds_bucket{le=\"+Inf\",outcome=\"failed\"} 1",
            "pmproxy_connect_seconds_sum{outcome=\"failed\"} 0.75",
            "pmproxy_connect_seconds_count{outcome=\"connected\"} 0",
            "pmproxy_target_sessions{target=\"nas1:1\"} 1",
            "pmproxy_target_connections_total{target=\"other\"} 0",
        ] {
            assert!(
                text.lines().any(|each| each == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
