//! Whether dead clients are found, and others let alone.

use testbed::eventually;
use virt_proto::keepalive::{self, PING, PONG};

use super::*;

/// One that pings after a second of silence, and lets a client go that leaves so many without answer.
fn pinging(count: u32) -> Daemon {
    let interval = Some(1);
    Daemon::start_with(5, Keepalive { interval, count })
}

#[test]
fn a_client_that_answers_no_ping_is_let_go() {
    let daemon = pinging(1);
    let mut wire = daemon.connect();
    wire.send(&keepalive::header(PING).frame(&()));
    assert_eq!(wire.receive().0, keepalive::header(PONG));
    assert_eq!(wire.receive().0, keepalive::header(PING));
    wire.is_closed();
    let gone = || daemon.admin.count() == (0, 0);
    eventually(PATIENCE, "its place to be free", gone).unwrap();
}

#[test]
fn a_client_that_answers_its_pings_stays() {
    // A busy machine may keep the test from answering in time.
    let daemon = pinging(20);
    let mut wire = daemon.connect();
    wire.send(&keepalive::header(PING).frame(&()));
    assert_eq!(wire.receive().0, keepalive::header(PONG));
    for _ in 0..3 {
        assert_eq!(wire.receive().0, keepalive::header(PING));
        wire.send(&keepalive::header(PONG).frame(&()));
    }
    wire.is_alive();
}

#[test]
fn a_client_that_never_sent_a_ping_gets_none() {
    let daemon = pinging(1);
    let mut wire = daemon.connect();
    wire.is_alive();
    wire.is_silent(Duration::from_secs(3));
    wire.is_alive();
}
