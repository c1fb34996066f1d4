//! What is shown: a row for each instance of the metrics that pmcd has, and the proxy's counters.

use anyhow::{Context, Result, bail};
use pcp_proto::{Descriptor, FetchResult, InDom, Instance, PmId, Status, ValueSet, Values};

use super::client::Client;
use super::peers::Peers;
use super::series::Series;
use super::sparkline;

/// The metrics that are watched, if pmcd has them.
const WATCHED: [&str; 9] = [
    "kernel.all.load",
    "mem.util.used",
    "mem.util.free",
    "network.interface.in.bytes",
    "network.interface.out.bytes",
    "disk.dev.read",
    "disk.dev.write",
    "hinv.ncpu",
    "kernel.all.uptime",
];

/// The metrics that go into the title.
const TITLE: [&str; 2] = ["pmcd.hostname", "pmcd.version"];

/// How many instances of a metric are shown: those with the largest values.
const MAX_INSTANCES: usize = 3;

const LABEL_WIDTH: usize = 35;
const VALUE_WIDTH: usize = 12;

/// All that is shown of pmcd.
pub(super) struct Board {
    /// The host and its pmcd.
    source: String,
    rows: Vec<Row>,
}

/// A metric.
struct Row {
    name: &'static str,
    /// What is known, or why nothing is.
    state: Result<Live, String>,
}

/// A metric that pmcd has.
struct Live {
    pmid: PmId,
    descriptor: Descriptor,
    series: Vec<Series>,
}

impl Board {
    /// Learns what pmcd has, and takes the first sample.
    ///
    /// # Errors
    /// When the session fails, or pmcd has none of the metrics.
    pub(super) fn prepare(client: &mut Client) -> Result<Board> {
        let names = [&WATCHED[..], &TITLE].concat();
        let pmids = client.identifiers(&names)?;
        let (watched, title) = pmids.split_at(WATCHED.len());
        let mut rows = Vec::with_capacity(watched.len());
        for (name, &pmid) in WATCHED.into_iter().zip(watched) {
            let state = describe(client, name, pmid)?;
            rows.push(Row { name, state });
        }
        if rows.iter().all(|row| row.state.is_err()) {
            bail!("pmcd has none of the metrics that the demo shows");
        }
        let source = source(client, title)?;
        let mut board = Board { source, rows };
        board.sample(client)?;
        Ok(board)
    }

    /// Takes a sample.
    pub(super) fn sample(&mut self, client: &mut Client) -> Result<()> {
        let mut live: Vec<&mut Live> = self
            .rows
            .iter_mut()
            .filter_map(|row| row.state.as_mut().ok())
            .collect();
        let pmids: Vec<PmId> = live.iter().map(|live| live.pmid).collect();
        let result = client.fetch(&pmids)?;
        let seconds = seconds(&result);
        for (live, set) in live.iter_mut().zip(&result.sets) {
            live.record(seconds, set);
        }
        Ok(())
    }

    fn title(&self, peers: &Peers) -> String {
        let (pmcd, port) = (peers.pmcd(), peers.proxy_port());
        format!("{} on {pmcd}, through pmproxy on port {port}", self.source)
    }

    /// The table for a terminal. What matters least is at its end, where a small window cuts it.
    pub(super) fn table(&self, peers: &Peers) -> Vec<String> {
        let mut lines = vec![self.title(peers)];
        lines.extend(proxy_lines(peers));
        lines.push(String::new());
        lines.push(format!(
            "{:LABEL_WIDTH$} {:>VALUE_WIDTH$} last {} samples",
            "metric",
            "value",
            sparkline::WIDTH
        ));
        for row in &self.rows {
            match &row.state {
                Err(why) => lines.push(format!("{:LABEL_WIDTH$} missing: {why}", row.name)),
                Ok(live) => lines.extend(live.series.iter().map(table_row)),
            }
        }
        lines
    }

    /// The same in lines that make sense one by one.
    pub(super) fn plain(&self, peers: &Peers) -> Vec<String> {
        let mut lines = vec![self.title(peers)];
        for row in &self.rows {
            match &row.state {
                Err(why) => lines.push(format!("{}: missing: {why}", row.name)),
                Ok(live) => lines.extend(live.series.iter().map(plain_row)),
            }
        }
        lines.extend(proxy_lines(peers));
        lines
    }
}

impl Live {
    fn record(&mut self, seconds: f64, set: &ValueSet) {
        let values = set.values.numbers(self.descriptor.value_type);
        for series in &mut self.series {
            let found = values
                .iter()
                .find(|(instance, _)| *instance == series.instance);
            series.record(seconds, found.map(|(_, value)| *value));
        }
    }
}

/// Asks for all about a metric that is needed to show it.
fn describe(client: &mut Client, name: &str, pmid: PmId) -> Result<Result<Live, String>> {
    if pmid == PmId::NULL {
        return Ok(Err(Status::NAME.to_string()));
    }
    let described = client
        .descriptor(pmid)
        .with_context(|| format!("cannot ask what {name} is"))?;
    let descriptor = match described {
        Ok(descriptor) => descriptor,
        Err(status) => return Ok(Err(status.to_string())),
    };
    let instances = match instances(client, name, &descriptor)? {
        Ok(instances) => instances,
        Err(status) => return Ok(Err(status.to_string())),
    };
    if instances.is_empty() {
        return Ok(Err("no instances".to_owned()));
    }
    let series = instances
        .into_iter()
        .map(|(instance, label)| Series::new(label, instance, descriptor))
        .collect();
    Ok(Ok(Live {
        pmid,
        descriptor,
        series,
    }))
}

/// The instances that are shown, with their labels.
fn instances(
    client: &mut Client,
    name: &str,
    descriptor: &Descriptor,
) -> Result<Result<Vec<(Instance, String)>, Status>> {
    if descriptor.indom == InDom::NULL {
        return Ok(Ok(vec![(Instance::NULL, name.to_owned())]));
    }
    let all = client
        .instances(descriptor.indom)
        .with_context(|| format!("cannot ask for the instances of {name}"))?;
    let mut all = match all {
        Ok(all) => all,
        Err(status) => return Ok(Err(status)),
    };
    if all.len() > MAX_INSTANCES {
        let largest = largest(client, descriptor)?;
        all.retain(|(instance, _)| largest.contains(instance));
    }
    let labelled = all
        .into_iter()
        .map(|(instance, each)| (instance, format!("{name} [{each}]")));
    Ok(Ok(labelled.collect()))
}

/// The instances with the largest values.
fn largest(client: &mut Client, descriptor: &Descriptor) -> Result<Vec<Instance>> {
    let result = client.fetch(&[descriptor.pmid])?;
    let sets = result.sets.iter();
    let mut values: Vec<(Instance, f64)> = sets
        .flat_map(|set| set.values.numbers(descriptor.value_type))
        .collect();
    values.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    values.truncate(MAX_INSTANCES);
    Ok(values.into_iter().map(|(instance, _)| instance).collect())
}

/// Who is watched: the host and its pmcd.
fn source(client: &mut Client, pmids: &[PmId]) -> Result<String> {
    let known: Vec<PmId> = pmids
        .iter()
        .copied()
        .filter(|&pmid| pmid != PmId::NULL)
        .collect();
    let result = if known.is_empty() {
        None
    } else {
        Some(client.fetch(&known)?)
    };
    let text = |pmid: PmId| {
        let sets = &result.as_ref()?.sets;
        let values: &Values = &sets.iter().find(|set| set.pmid == pmid)?.values;
        values.text().map(str::to_owned)
    };
    let [hostname, version] = [0, 1].map(|index| pmids.get(index).copied().and_then(text));
    Ok(format!(
        "host {}, pmcd {}",
        hostname.as_deref().unwrap_or("without a name"),
        version.as_deref().unwrap_or("of unknown version"),
    ))
}

fn seconds(result: &FetchResult) -> f64 {
    f64::from(result.seconds) + f64::from(result.microseconds) / 1e6
}

fn table_row(series: &Series) -> String {
    let bars = if series.moves() {
        series.bars()
    } else {
        String::new()
    };
    format!(
        "{:LABEL_WIDTH$} {:>VALUE_WIDTH$} {bars}",
        series.label,
        series.text()
    )
}

fn plain_row(series: &Series) -> String {
    let total = if series.shows_total() { " in all" } else { "" };
    format!("{}: {}{total}", series.label, series.text())
}

/// The counters of the proxy, or why there are none: that is worth knowing, but no reason to end.
fn proxy_lines(peers: &Peers) -> Vec<String> {
    match peers.counters() {
        Ok(counters) => counters.lines().to_vec(),
        Err(error) => vec![format!("pmproxy: no counters: {error:#}")],
    }
}
