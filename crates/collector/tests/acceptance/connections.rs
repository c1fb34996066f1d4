//! Connections, good and bad, and the life of the process.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use pcp_proto::{
    Creds, DescReq, Descriptor, ErrorPdu, Features, Fetch, Pdu, PmId, Profile, Status, VersionCred,
};
use testbed::{Client, Ending, PATIENCE, Process, Wire, clean_command, eventually};

use crate::peer::{Collector, PROGRAM, announced_port};

/// The limit of the program.
const MAX_CONNECTIONS: usize = collector::MAX_CONNECTIONS;

const LOAD: PmId = PmId::new(60, 2, 0);

fn creds() -> Vec<u8> {
    let features = Features::default();
    let versions = vec![VersionCred {
        version: 2,
        features,
    }];
    Creds { versions }.encode(1)
}

/// A connection that has been greeted and has introduced itself.
fn session(collector: &Collector) -> Result<Wire> {
    let mut wire = Wire::connect(collector.port)?;
    let greeting = ErrorPdu::decode(&wire.receive_pdu()?)?;
    if greeting.status() != Status::OK {
        bail!("turned away: {}", greeting.status());
    }
    wire.send(&creds())?;
    Ok(wire)
}

/// Asks for a descriptor and gets it.
fn converse(wire: &mut Wire) -> Result<()> {
    wire.send_pdu(&DescReq(LOAD))?;
    Descriptor::decode(&wire.receive_pdu()?)?;
    Ok(())
}

#[test]
fn requests_are_answered_however_they_are_cut() {
    let collector = Collector::start().unwrap();
    let mut wire = Wire::connect(collector.port).unwrap();
    wire.receive_pdu().unwrap();
    let requests = [creds(), DescReq(LOAD).encode(0)].concat();
    wire.send_slowly(&requests, 1, Duration::from_millis(1))
        .unwrap();
    assert!(Descriptor::decode(&wire.receive_pdu().unwrap()).is_ok());
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let collector = Collector::start().unwrap();
    let mut wire = session(&collector).unwrap();
    let pmids = [LOAD, PmId::new(60, 99, 0), PmId::new(60, 26, 0)];
    let requests: Vec<u8> = pmids
        .iter()
        .flat_map(|pmid| DescReq(*pmid).encode(0))
        .collect();
    wire.send(&requests).unwrap();
    let answers: Vec<_> = (0..3).map(|_| wire.receive_pdu().unwrap()).collect();
    assert_eq!(Descriptor::decode(&answers[0]).unwrap().pmid, pmids[0]);
    assert_eq!(
        ErrorPdu::decode(&answers[1]).unwrap().status(),
        Status::PMID
    );
    assert_eq!(Descriptor::decode(&answers[2]).unwrap().pmid, pmids[2]);
}

#[test]
fn a_malformed_request_ends_its_connection_and_no_other() {
    let collector = Collector::start().unwrap();
    let (mut good, mut bad) = (session(&collector).unwrap(), session(&collector).unwrap());
    bad.send(&[0, 0, 0, 13, 0, 0, 0x70, 4, 0, 0, 0, 0, 0xff])
        .unwrap();
    let (answer, ending) = bad.receive_to_end().unwrap();
    assert_eq!(ErrorPdu::decode(&answer).unwrap().status(), Status::IPC);
    assert_eq!(ending, Ending::Closed);
    converse(&mut good).unwrap();
}

#[test]
fn a_length_that_no_client_sends_ends_the_connection() {
    let collector = Collector::start().unwrap();
    for length in [[0, 0, 0, 11], [0, 1, 0, 1], [0xff; 4]] {
        let mut bad = session(&collector).unwrap();
        bad.send(&length).unwrap();
        assert_eq!(bad.receive_to_end().unwrap().0, b"");
    }
    converse(&mut session(&collector).unwrap()).unwrap();
}

#[test]
fn a_request_that_is_not_known_is_refused_and_the_session_goes_on() {
    let collector = Collector::start().unwrap();
    let mut wire = session(&collector).unwrap();
    wire.send(&[0, 0, 0, 12, 0, 0, 0x70, 0x99, 0, 0, 0, 0])
        .unwrap();
    let refused = ErrorPdu::decode(&wire.receive_pdu().unwrap()).unwrap();
    assert_eq!(refused.status(), Status::NOT_IMPLEMENTED);
    converse(&mut wire).unwrap();
}

#[test]
fn connections_over_the_limit_are_turned_away_until_others_leave() {
    let collector = Collector::start().unwrap();
    let taken: Result<Vec<Wire>> = (0..MAX_CONNECTIONS).map(|_| session(&collector)).collect();
    let mut taken = taken.unwrap();
    taken.iter_mut().try_for_each(converse).unwrap();
    let mut late = Wire::connect(collector.port).unwrap();
    let (refusal, _) = late.receive_to_end().unwrap();
    let refusal = ErrorPdu::decode(&refusal).unwrap();
    assert_eq!(refusal, ErrorPdu::refusal(Status::CONNECTION_LIMIT));
    drop(taken);
    eventually(PATIENCE, "a free place", || session(&collector).is_ok()).unwrap();
}

#[test]
fn a_client_that_reads_nothing_costs_little_memory_and_no_one_else_waits() {
    let collector = Collector::start().unwrap();
    let mut deaf = session(&collector).unwrap();
    deaf.send_pdu(&Profile::default()).unwrap();
    let before = collector.process.rss_kb().unwrap();
    deaf.stream()
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // Each answer is about 900 kB.
    let fetch = Fetch {
        context: 0,
        pmids: vec![LOAD; 15_000],
    };
    let sent = (0..3_000).find_map(|_| deaf.send_pdu(&fetch).err());
    assert!(sent.is_some(), "it read all of it");
    converse(&mut session(&collector).unwrap()).unwrap();
    let grown = collector.process.rss_kb().unwrap().saturating_sub(before);
    assert!(grown < 16 << 10, "grown by {grown} kB");
}

#[test]
fn a_client_that_leaves_leaves_no_descriptor() {
    let collector = Collector::start().unwrap();
    let before = collector.process.descriptors().unwrap();
    let (left, reset) = (session(&collector).unwrap(), session(&collector).unwrap());
    drop(left);
    reset.reset().unwrap();
    collector.process.await_descriptors(before).unwrap();
}

#[test]
fn it_ends_in_order_when_it_is_asked_to() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut collector = Collector::start().unwrap();
        let mut wire = session(&collector).unwrap();
        converse(&mut wire).unwrap();
        collector.process.signal(signal).unwrap();
        let status = collector.process.wait(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        wire.receive_to_end().unwrap();
    }
}

#[test]
fn it_ends_with_the_process_that_started_it() {
    let mut command = clean_command("/bin/sh");
    command.args(["-c", "\"$0\" -p 0 & read -r line", PROGRAM]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut parent = Process::spawn("sh", command).unwrap();
    let port = announced_port(&mut parent).unwrap();
    assert!(Wire::connect(port).is_ok());
    drop(parent.child().stdin.take());
    parent.wait(PATIENCE).unwrap();
    eventually(PATIENCE, "the collector to end", || {
        Wire::connect(port).is_err()
    })
    .unwrap();
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let collector = Collector::start().unwrap();
    let port = collector.port.to_string();
    let ended = Client::new(PROGRAM).args(["-p", &port]).run().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let wanted = format!("collector: cannot listen on 127.0.0.1:{port}");
    assert!(ended.stderr.starts_with(&wanted), "{ended}");
    assert!(ended.stderr.contains("-p 0 takes a free port"), "{ended}");
}

#[test]
fn a_wrong_option_is_an_error_and_help_is_not() {
    let wrong = Client::new(PROGRAM).args(["--prot", "1"]).run().unwrap();
    assert!(
        !wrong.status.success() && wrong.stderr.contains("--prot"),
        "{wrong}"
    );
    let help = Client::new(PROGRAM).args(["--help"]).run().unwrap();
    assert!(help.succeeded().unwrap().starts_with("Usage: collector"));
}
