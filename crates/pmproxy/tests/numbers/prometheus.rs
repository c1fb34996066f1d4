//! Prometheus text, read by the parser of Prometheus's own client library.

use std::collections::BTreeMap;
use std::net::TcpListener;

use anyhow::{Context, Result};
use testbed::{
    Client, PATIENCE, Pmcd, Pmproxy, Scratch, Stub, deaf_port, eventually, free_port, packages,
};

use crate::peers::{await_metric, pminfo, pmproxy, round_trip, session};

/// Reads OpenMetrics text and prints each sample with its family's type. Debian's own Python has the
/// package; another one in the PATH may not.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    for sample in family.samples:
        labels = ','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))
        print(f'{family.type} {sample.name}{{{labels}}} {sample.value}')
";

/// Every sample in the text, as the real parser understands it, by type, name and labels.
fn parse(text: &str) -> Result<BTreeMap<String, f64>> {
    packages::require("python3-prometheus-client")?;
    let scratch = Scratch::new()?;
    let file = scratch.write("metrics", text)?;
    let printed = Client::new(PYTHON)
        .args(["-c", SCRIPT])
        .args([file])
        .run()?
        .succeeded()
        .with_context(|| text.to_owned())?;
    printed
        .lines()
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a sample without a value")?;
            Ok((name.to_owned(), value.parse()?))
        })
        .collect()
}

#[test]
fn the_real_parser_takes_all_that_there_is() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Pmcd::start("alpha").unwrap());
    pminfo(&proxy, pmcd.port())
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let target = format!("localhost:{}", pmcd.port());
    let there = format!("pmproxy_target_sessions{{target=\"{target}\"}}");
    await_metric(&proxy, &there, 0.0).unwrap();
    await_metric(&proxy, "pmproxy_sessions", 0.0).unwrap();
    let numbers = parse(&proxy.metrics().unwrap()).unwrap();
    let at_least_one = [
        "counter pmproxy_clients_total{}".to_owned(),
        "counter pmproxy_bytes_total{direction=to_pmcd}".into(),
        "counter pmproxy_pdus_total{direction=to_pmcd,type=CREDS}".into(),
        "counter pmproxy_pdus_total{direction=to_pmcd,type=HIGHRES_FETCH}".into(),
        "counter pmproxy_pdus_total{direction=to_client,type=HIGHRES_RESULT}".into(),
        "counter pmproxy_pdus_total{direction=to_client,type=DESC}".into(),
        "histogram pmproxy_connect_seconds_count{outcome=connected}".into(),
        "histogram pmproxy_connect_seconds_bucket{le=+Inf,outcome=connected}".into(),
        format!("counter pmproxy_target_connections_total{{target={target}}}"),
    ];
    for name in at_least_one {
        assert!(
            numbers.get(&name).is_some_and(|value| *value >= 1.0),
            "{name} {numbers:#?}"
        );
    }
    let none = format!("gauge pmproxy_target_sessions{{target={target}}}");
    assert_eq!(numbers[&none], 0.0, "{numbers:#?}");
}

#[test]
fn pdus_are_counted_by_direction_and_type() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let mut wire = session(&proxy, &pmcd).unwrap();
    for len in [12, 500, 60_000] {
        round_trip(&mut wire, len).unwrap();
    }
    let pdus = |direction, kind| {
        format!("pmproxy_pdus_total{{direction=\"{direction}\",type=\"{kind}\"}}")
    };
    await_metric(&proxy, &pdus("to_pmcd", "FETCH"), 3.0).unwrap();
    await_metric(&proxy, &pdus("to_client", "FETCH"), 3.0).unwrap();
    await_metric(&proxy, &pdus("to_client", "ERROR"), 1.0).unwrap();
    await_metric(&proxy, &pdus("to_client", "other"), 0.0).unwrap();
}

#[test]
fn nothing_is_counted_by_type_when_that_is_switched_off() {
    let proxy = pmproxy().config("[pmproxy]\ncounters.pdus = false\n");
    let (proxy, pmcd) = (proxy.start().unwrap(), Stub::echo().unwrap());
    let mut wire = session(&proxy, &pmcd).unwrap();
    round_trip(&mut wire, 500).unwrap();
    await_metric(&proxy, "pmproxy_bytes_total{direction=\"to_pmcd\"}", 500.0).unwrap();
    let pdus = "pmproxy_pdus_total{direction=\"to_pmcd\",type=\"FETCH\"}";
    assert_eq!(proxy.metric(pdus).unwrap(), 0.0);
}

#[test]
fn a_server_that_speaks_another_protocol_is_heard_at_once() {
    let proxy = pmproxy().start().unwrap();
    let server = Stub::start(|mut wire, _| {
        // It waits for the client to have read each piece.
        for piece in [
            "h",
            "i\n",
            "\u{0}\u{0}\u{0}",
            "\u{1}there, with more than a head\n",
        ] {
            wire.send(piece.as_bytes())?;
            wire.receive(12)?;
        }
        Ok(())
    })
    .unwrap();
    let mut wire = testbed::Wire::through(proxy.port(), "127.0.0.1", server.port()).unwrap();
    for piece in [
        "h",
        "i\n",
        "\u{0}\u{0}\u{0}",
        "\u{1}there, with more than a head\n",
    ] {
        assert_eq!(wire.receive(piece.len()).unwrap(), piece.as_bytes());
        let pdu = [0, 0, 0, 12, 0, 0, 0x70, 3, 0, 0, 0, 0];
        wire.send(&pdu).unwrap();
    }
}

#[test]
fn connecting_is_timed_whether_it_succeeds_or_not() {
    let (proxy, pmcd) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let _sessions = [
        session(&proxy, &pmcd).unwrap(),
        session(&proxy, &pmcd).unwrap(),
    ];
    let (_kept, nobody) = deaf_port().unwrap();
    let mut refused = testbed::Wire::through(proxy.port(), "127.0.0.1", nobody).unwrap();
    refused.receive_pdu().unwrap();
    let count = |outcome| format!("pmproxy_connect_seconds_count{{outcome=\"{outcome}\"}}");
    await_metric(&proxy, &count("connected"), 2.0).unwrap();
    await_metric(&proxy, &count("failed"), 1.0).unwrap();
    let target = format!(
        "pmproxy_target_sessions{{target=\"127.0.0.1:{}\"}}",
        pmcd.port()
    );
    assert_eq!(proxy.metric(&target).unwrap(), 2.0);
    let nobody = format!("target=\"127.0.0.1:{nobody}\"");
    assert!(!proxy.metrics().unwrap().contains(&nobody));
}

#[test]
fn an_address_from_the_configuration_tells_the_numbers_and_nobody_who_is_there() {
    let port = free_port().unwrap();
    let config = format!("[pmproxy]\nadmin.address = 127.0.0.1:{port}\n");
    let proxy = pmproxy().config(config).start().unwrap();
    let get = |path: &str| -> Result<String> {
        let url = format!("http://127.0.0.1:{port}{path}");
        let script = "import sys, urllib.request\n\
                      sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())";
        Client::new(PYTHON)
            .args(["-c", script, &url])
            .run()?
            .succeeded()
    };
    let text = get("/metrics").unwrap();
    let numbers = parse(&text).unwrap();
    assert!(
        numbers.contains_key("counter pmproxy_clients_total{}"),
        "{numbers:#?}"
    );
    let refused = get("/sessions").unwrap_err().to_string();
    assert!(refused.contains("404"), "{refused}");
    drop(proxy);
    eventually(PATIENCE, "the port to be free", || {
        TcpListener::bind(("127.0.0.1", port)).is_ok()
    })
    .unwrap();
}

#[test]
fn an_address_that_cannot_be_had_is_said_and_clients_are_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("[pmproxy]\nadmin.address = {address}\n");
    let (proxy, pmcd) = (
        pmproxy().config(config).start().unwrap(),
        Stub::echo().unwrap(),
    );
    let complaint =
        format!("no numbers can be read: admin.address {address}: Address already in use");
    let said = |proxy: &Pmproxy| proxy.log().contains(&complaint);
    eventually(PATIENCE, &complaint, || said(&proxy))
        .with_context(|| proxy.log())
        .unwrap();
    round_trip(&mut session(&proxy, &pmcd).unwrap(), 100).unwrap();
}
