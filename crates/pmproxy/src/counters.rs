//! The daemon's own numbers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gate::limits::Admission;
use gate::relay::Totals;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: Reason,
}

/// What is counted outside the relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Connections taken.
    pub(crate) clients: Counter<u64, AtomicU64>,
    refused: Family<Refused, Counter<u64, AtomicU64>>,
}

impl Counters {
    /// Notes that a client was not served.
    pub(crate) fn refuse(&self, reason: Reason) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// Everything that readers of the numbers see; `totals` gives those of the relay.
    pub(crate) fn registry<F>(&self, admission: Admission, totals: F) -> Registry
    where
        F: Fn() -> Totals + Send + Sync + 'static,
    {
        let mut registry = Registry::with_prefix("pmproxy");
        registry.register(
            "clients",
            "Connections taken from clients",
            self.clients.clone(),
        );
        registry.register(
            "refused",
            "Clients that were not served, by reason",
            self.refused.clone(),
        );
        registry.register_collector(Box::new(Live {
            admission,
            totals: Arc::new(totals),
        }));
        registry
    }
}

/// Numbers that are read where they are kept.
struct Live {
    admission: Admission,
    totals: Arc<dyn Fn() -> Totals + Send + Sync>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = (self.totals)();
        let gauges = [
            (
                "connected",
                "Clients within the limit now",
                self.admission.clients(),
            ),
            (
                "sessions",
                "Clients connected to a pmcd now",
                clamp(totals.sessions),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let help = "Bytes relayed";
        let mut bytes = encoder.encode_descriptor("bytes", help, None, MetricType::Counter)?;
        for (direction, count) in [
            ("to_pmcd", totals.to_server),
            ("to_client", totals.to_client),
        ] {
            let label = [("direction", direction)];
            ConstCounter::new(count).encode(bytes.encode_family(&label)?)?;
        }
        let help = "PDUs relayed";
        let mut pdus = encoder.encode_descriptor("pdus", help, None, MetricType::Counter)?;
        let label = [("direction", "to_pmcd")];
        ConstCounter::new(totals.client_frames).encode(pdus.encode_family(&label)?)
    }
}

fn clamp(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_written_as_prometheus_reads_them() {
        let counters = Counters::default();
        counters.clients.inc();
        counters.refuse(Reason::PduLength);
        let totals = Totals {
            sessions: 3,
            to_server: 10,
            to_client: 20,
            client_frames: 2,
        };
        let registry = counters.registry(Admission::new(1), move || totals);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "pmproxy_clients_total 1",
            "pmproxy_refused_total{reason=\"PduLength\"} 1",
            "pmproxy_connected 0",
            "pmproxy_sessions 3",
            "pmproxy_bytes_total{direction=\"to_pmcd\"} 10",
            "pmproxy_bytes_total{direction=\"to_client\"} 20",
            "pmproxy_pdus_total{direction=\"to_pmcd\"} 2",
        ] {
            assert!(
                text.lines().any(|each| each == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
