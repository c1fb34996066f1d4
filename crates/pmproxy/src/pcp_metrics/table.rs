//! What pmcd's clients see below `pmproxy`: the metrics, what they mean, and where they come from.

use std::time::Duration;

use gate::relay::Side;
use mmv::{Catalogue, CatalogueError, InstanceDomain, Metric};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use pcp_proto::{Semantics, SpaceScale, TimeScale, Units};

use crate::connects::{BOUNDS, TimesReading};
use crate::counters::{Numbers, Reading, Reason};

/// The cluster of the file that the program of PCP 6 makes, so that what both of them tell has the
/// same identifiers: items below 100 are that program's.
const CLUSTER: u16 = 1;

const REASONS: u16 = 1;
const PDU_TYPES: u16 = 2;
const OUTCOMES: u16 = 3;
const DURATIONS: u16 = 4;

/// What the values of one moment come from.
struct Moment<'a> {
    numbers: &'a Numbers,
    reading: Reading,
    connected: TimesReading,
    failed: TimesReading,
    usage: Option<Usage>,
}

/// A metric, and its values: as many as it has instances.
struct Row {
    metric: Metric,
    values: fn(&Moment<'_>) -> Vec<u64>,
}

/// All that there is.
pub(super) fn catalogue() -> Result<Catalogue, CatalogueError> {
    let metrics = rows().into_iter().map(|row| row.metric).collect();
    Catalogue::new(CLUSTER, indoms(), metrics)
}

/// The values of this moment, in the order of the catalogue.
pub(super) fn values(numbers: &Numbers) -> Vec<u64> {
    let moment = Moment {
        numbers,
        reading: numbers.read(),
        connected: numbers.counters().connected.read(),
        failed: numbers.counters().failed.read(),
        usage: getrusage(UsageWho::RUSAGE_SELF).ok(),
    };
    let values = rows().into_iter().map(|row| (row.values)(&moment));
    values.flatten().collect()
}

fn indoms() -> Vec<InstanceDomain> {
    let indom = |serial, instances: Vec<String>| InstanceDomain { serial, instances };
    let types = Reading::default();
    let types = types.pdus.from(Side::Client).map(|(name, _)| name.into());
    vec![
        indom(
            REASONS,
            Reason::ALL.map(|reason| format!("{reason:?}")).into(),
        ),
        indom(PDU_TYPES, types.collect()),
        indom(OUTCOMES, vec!["connected".into(), "failed".into()]),
        indom(DURATIONS, durations()),
    ]
}

/// The names of the buckets of connect times.
fn durations() -> Vec<String> {
    let name = |bound| format!("{:?}", Duration::from_micros(bound)).replace('µ', "u");
    let bounded = BOUNDS.iter().map(|&bound| format!("up-to-{}", name(bound)));
    let longest = BOUNDS.last().copied().unwrap_or_default();
    bounded.chain([format!("over-{}", name(longest))]).collect()
}

const MILLISECONDS: Units = Units::time(TimeScale::Millisecond);
const MICROSECONDS: Units = Units::time(TimeScale::Microsecond);
const BYTES: Units = Units::space(SpaceScale::Byte);
const KILOBYTES: Units = Units::space(SpaceScale::Kbyte);

/// A metric that counts what happens.
const fn counter(name: &'static str, item: u16, units: Units, help: [&'static str; 2]) -> Metric {
    let [short_help, help] = help;
    Metric {
        name,
        item,
        semantics: Semantics::COUNTER,
        units,
        indom: None,
        short_help,
        help,
    }
}

/// A metric that tells how things are.
const fn gauge(name: &'static str, item: u16, units: Units, help: [&'static str; 2]) -> Metric {
    Metric {
        semantics: Semantics::INSTANT,
        ..counter(name, item, units, help)
    }
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let row = |metric, values| Row { metric, values };
    let count = Units::COUNT;
    vec![
        row(Metric {
            semantics: Semantics::DISCRETE,
            ..gauge("pid", 0, Units::NONE, ["Process identifier of pmproxy", "The process identifier of the pmproxy that tells these numbers."])
        }, |_| vec![std::process::id().into()]),
        row(counter("cpu.user", 1, MILLISECONDS, ["User CPU time", "CPU time that pmproxy has spent in user mode."]),
            |now| vec![now.cpu(Usage::user_time)]),
        row(counter("cpu.sys", 2, MILLISECONDS, ["System CPU time", "CPU time that pmproxy has spent in the kernel."]),
            |now| vec![now.cpu(Usage::system_time)]),
        row(counter("cpu.total", 3, MILLISECONDS, ["CPU time", "CPU time that pmproxy has spent, in user mode and in the kernel."]),
            |now| vec![now.cpu(Usage::user_time) + now.cpu(Usage::system_time)]),
        row(gauge("mem.maxrss", 4, KILOBYTES, ["Largest resident memory", "The most memory of pmproxy that was ever resident."]),
            |now| vec![now.usage.as_ref().map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))]),
        row(gauge("clients.current", 100, count, ["Clients", "Clients within the limit now, those included that have no session with a pmcd yet."]),
            |now| vec![now.reading.connected as u64]),
        row(counter("clients.total", 101, count, ["Connections from clients", "Connections that were ever taken from clients."]),
            |now| vec![now.numbers.counters().clients.get()]),
        row(counter("clients.refused", 102, count, ["Clients not served", "Clients that were not served, or whose session was cut off, by reason. See pmproxy(1) for the reasons."]).of_each(REASONS),
            |now| Reason::ALL.map(|reason| now.numbers.counters().refused(reason)).into()),
        row(gauge("sessions.current", 103, count, ["Sessions", "Clients that are connected to a pmcd now."]),
            |now| vec![now.reading.totals.sessions]),
        row(counter("bytes.to_pmcd", 104, BYTES, ["Bytes from clients to pmcd", "Bytes that were passed on from clients to their pmcd."]),
            |now| vec![now.reading.totals.to_server]),
        row(counter("bytes.to_client", 105, BYTES, ["Bytes from pmcd to clients", "Bytes that were passed on from a pmcd to its clients."]),
            |now| vec![now.reading.totals.to_client]),
        row(counter("pdus.to_pmcd", 106, count, ["PDUs from clients to pmcd", "PDUs that were passed on from clients to their pmcd, by type. What passes encrypted from end to end is not counted."]).of_each(PDU_TYPES),
            |now| now.pdus(Side::Client)),
        row(counter("pdus.to_client", 107, count, ["PDUs from pmcd to clients", "PDUs that were passed on from a pmcd to its clients, by type. What passes encrypted from end to end is not counted."]).of_each(PDU_TYPES),
            |now| now.pdus(Side::Server)),
        row(counter("connect.count", 108, count, ["Attempts to connect to a pmcd", "Attempts to connect to the pmcd that a client named, by outcome."]).of_each(OUTCOMES),
            |now| vec![now.connected.count(), now.failed.count()]),
        row(counter("connect.time", 109, MICROSECONDS, ["Time spent connecting to pmcd", "Time from the look-up of a pmcd's name to the connection or the failure, all attempts together, by outcome."]).of_each(OUTCOMES),
            |now| vec![now.connected.microseconds, now.failed.microseconds]),
        row(counter("connect.connected", 110, count, ["Connections to pmcd by duration", "Connections that were made to a pmcd, by how long that took from the look-up of its name on."]).of_each(DURATIONS),
            |now| now.connected.buckets.into()),
        row(counter("connect.failed", 111, count, ["Failed attempts by duration", "Attempts to connect to a pmcd that failed, by how long that took from the look-up of its name on."]).of_each(DURATIONS),
            |now| now.failed.buckets.into()),
    ]
}

impl Moment<'_> {
    fn pdus(&self, side: Side) -> Vec<u64> {
        self.reading
            .pdus
            .from(side)
            .map(|(_, count)| count)
            .collect()
    }

    /// CPU time in milliseconds.
    fn cpu(&self, time: fn(&Usage) -> TimeVal) -> u64 {
        let time = self.usage.as_ref().map(time);
        let milliseconds = |time: TimeVal| time.tv_sec() * 1000 + time.tv_usec() / 1000;
        time.map_or(0, |time| u64::try_from(milliseconds(time)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    #[test]
    fn there_is_a_value_for_each_metric_and_instance() {
        let counters = Counters::default();
        counters.refuse(Reason::Denied);
        let numbers = Numbers::new(counters, Reading::default);
        let catalogue = catalogue().unwrap();
        let values = values(&numbers);
        assert_eq!(values.len(), catalogue.values());
        assert_eq!(values[0], u64::from(std::process::id()));
        assert!(values.contains(&1));
    }

    #[test]
    fn the_names_of_durations_are_words() {
        let names = durations();
        assert_eq!(names[0], "up-to-100us");
        assert_eq!(names[4], "up-to-2.5ms");
        assert_eq!(names.last().unwrap(), "over-10s");
        assert!(
            names
                .iter()
                .all(|name| name.is_ascii() && !name.contains(' '))
        );
    }
}
