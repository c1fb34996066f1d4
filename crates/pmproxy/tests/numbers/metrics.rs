//! The metrics of a pmproxy, as a real client sees them through a real pmcd and its real PMDA for
//! memory-mapped values.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::unistd::User;
use testbed::{Client, PATIENCE, Pmcd, Pmproxy, Stub, eventually};

use crate::peers::{pmproxy, round_trip, session};

/// A pmproxy, and the pmcd of its host.
struct Host {
    proxy: Pmproxy,
    pmcd: Pmcd,
}

impl Host {
    fn new() -> Result<Host> {
        Host::of(pmproxy().start()?)
    }

    fn of(proxy: Pmproxy) -> Result<Host> {
        let pmcd = Pmcd::builder("alpha").metrics_of(proxy.folder()).start()?;
        Ok(Host { proxy, pmcd })
    }

    /// What `pminfo` with these options shows of the metrics.
    fn pminfo(&self, options: &str, metrics: &str) -> Result<String> {
        let host = format!("localhost:{}", self.pmcd.port());
        let client = Client::new("pminfo").args(["-h", &host, options, metrics]);
        client.run()?.succeeded()
    }

    /// The values of a metric by instance.
    fn values(&self, metric: &str) -> Result<BTreeMap<String, u64>> {
        let shown = self.pminfo("-f", metric)?;
        let lines = shown.lines().filter(|line| line.contains("value "));
        let values = lines.map(|line| {
            let (before, value) = line.rsplit_once("value ").with_context(|| shown.clone())?;
            let instance = before.split('"').nth(1).unwrap_or_default();
            Ok((instance.to_owned(), value.trim().parse()?))
        });
        values.collect()
    }

    /// Waits until a metric has this value for an instance, or at all.
    fn await_value(&self, metric: &str, instance: &str, value: u64) -> Result<()> {
        eventually(PATIENCE, format!("{metric}[{instance}] {value}"), || {
            self.values(metric)
                .is_ok_and(|values| values.get(instance) == Some(&value))
        })
        .with_context(|| format!("{:?}", self.values(metric)))
    }

    /// Waits until the pmcd has no metrics of the pmproxy.
    fn await_nothing(&self) -> Result<()> {
        eventually(PATIENCE, "the metrics to be gone", || {
            self.pminfo("-f", "pmproxy.pid").is_err()
        })
    }

    fn file(&self) -> PathBuf {
        self.proxy.folder().join("pmproxy/server")
    }

    /// The process that its log tells of.
    fn process(&self) -> Result<u64> {
        let log = self.proxy.log();
        let (_, after) = log.rsplit_once("PID = ").context("no process")?;
        let (process, _) = after.split_once(',').context("no process")?;
        Ok(process.parse()?)
    }
}

/// Waits until a pmproxy has logged something.
fn says(proxy: &Pmproxy, text: &str) -> Result<()> {
    eventually(PATIENCE, format!("«{text}»"), || {
        proxy.log().contains(text)
    })
    .with_context(|| proxy.log())
}

#[test]
fn pminfo_shows_every_number_and_what_it_means() {
    let host = Host::new().unwrap();
    let pmcd = Stub::echo().unwrap();
    let mut wire = session(&host.proxy, &pmcd).unwrap();
    for _ in 0..3 {
        round_trip(&mut wire, 1000).unwrap();
    }
    drop(std::net::TcpStream::connect(("127.0.0.1", host.proxy.port())).unwrap());
    host.await_value("pmproxy.pid", "", host.process().unwrap())
        .unwrap();
    host.await_value("pmproxy.sessions.current", "", 1).unwrap();
    host.await_value("pmproxy.bytes.to_pmcd", "", 3000).unwrap();
    host.await_value("pmproxy.bytes.to_client", "", 3020)
        .unwrap();
    host.await_value("pmproxy.pdus.to_pmcd", "FETCH", 3)
        .unwrap();
    host.await_value("pmproxy.pdus.to_client", "ERROR", 1)
        .unwrap();
    // The look at whether it was ready left before a greeting too.
    host.await_value("pmproxy.clients.refused", "Left", 2)
        .unwrap();
    host.await_value("pmproxy.clients.total", "", 3).unwrap();
    host.await_value("pmproxy.connect.count", "connected", 1)
        .unwrap();
    let durations = host.values("pmproxy.connect.connected").unwrap();
    assert_eq!(durations.values().sum::<u64>(), 1, "{durations:?}");
    assert!(durations.contains_key("up-to-2.5ms"), "{durations:?}");
    drop(wire);
    host.await_value("pmproxy.clients.current", "", 0).unwrap();

    // Every metric has a value.
    let all = host.pminfo("-f", "pmproxy").unwrap();
    assert!(!all.contains("No value") && !all.contains("Error"), "{all}");
    let meant = host.pminfo("-dtT", "pmproxy.bytes.to_pmcd").unwrap();
    for text in [
        "64-bit unsigned int",
        "Semantics: counter",
        "Units: byte",
        "Bytes from clients to pmcd",
        "Bytes that were passed on from clients to their pmcd.",
    ] {
        assert!(meant.contains(text), "{text} is not in {meant}");
    }
    let meant = host.pminfo("-d", "pmproxy.cpu.total").unwrap();
    assert!(meant.contains("Units: millisec"), "{meant}");
}

#[test]
fn a_pmcd_that_had_just_looked_in_vain_finds_them() {
    let mut host = Host::new().unwrap();
    host.proxy.terminate().unwrap();
    host.await_nothing().unwrap();
    host.proxy.restart().unwrap();
    host.await_value("pmproxy.pid", "", host.process().unwrap())
        .unwrap();
}

#[test]
fn they_go_when_pmproxy_ends_and_also_when_it_is_killed() {
    let mut host = Host::new().unwrap();
    host.await_value("pmproxy.pid", "", host.process().unwrap())
        .unwrap();
    host.proxy.kill();
    host.await_nothing().unwrap();
    assert!(host.file().exists());

    host.proxy.restart().unwrap();
    host.await_value("pmproxy.pid", "", host.process().unwrap())
        .unwrap();
    host.proxy.terminate().unwrap();
    host.await_nothing().unwrap();
    assert!(!host.file().exists());
}

#[test]
fn another_pmproxy_on_the_host_leaves_them_alone_and_says_so() {
    let host = Host::new().unwrap();
    let other = pmproxy()
        .env("PCP_TMP_DIR", host.proxy.folder())
        .start()
        .unwrap();
    let process = host.process().unwrap();
    let said = format!(
        "no metrics for the pmcd of this host: process {process} has {}",
        host.file().display()
    );
    says(&other, &said).unwrap();
    drop(other);
    host.await_value("pmproxy.pid", "", process).unwrap();
}

#[test]
fn without_the_folder_or_the_wish_there_is_no_file_and_clients_are_served() {
    let missing = pmproxy()
        .env("PCP_TMP_DIR", "/no/such/folder")
        .start()
        .unwrap();
    let said = "no metrics for the pmcd of this host: cannot make \
                /no/such/folder/pmproxy/server: No such file or directory\n";
    says(&missing, said).unwrap();
    let off = pmproxy()
        .config("[pmproxy]\nmmv.enabled = false\n")
        .start()
        .unwrap();
    assert!(!off.log().contains("no metrics"), "{}", off.log());
    assert!(!off.folder().join("pmproxy/server").exists());
    let pmcd = Stub::echo().unwrap();
    for proxy in [missing, off] {
        round_trip(&mut session(&proxy, &pmcd).unwrap(), 100).unwrap();
    }
}

#[test]
fn the_file_is_made_by_the_user_that_pmproxy_becomes() {
    let is_root = nix::unistd::Uid::effective().is_root();
    assert!(is_root, "this test needs root");
    let host = Host::of(pmproxy().args(["-U", "pcp"]).start().unwrap()).unwrap();
    host.await_value("pmproxy.pid", "", host.process().unwrap())
        .unwrap();
    let file = std::fs::metadata(host.file()).unwrap();
    let pcp = User::from_name("pcp").unwrap().unwrap();
    assert_eq!(
        (file.uid(), file.permissions().mode() & 0o7777),
        (pcp.uid.as_raw(), 0o644)
    );
}
