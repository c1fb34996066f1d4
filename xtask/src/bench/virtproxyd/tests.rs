//! The load generator's loads on a real libvirtd.

use std::time::Duration;

use super::super::closed_loop;
use super::super::figures::Figure;
use super::wire::exchange;
use super::*;

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_real_libvirtd_answers_the_calls_and_sends_its_volume_again_and_again() {
    let real = RealDaemon::start().unwrap();
    let peer = |uri: &str| Peer {
        socket: real.daemon.socket(),
        uri: uri.into(),
    };
    let calls = closed_loop::run(&peer("test:///default"), 8, exchange(), SHORT, None).unwrap();
    assert!(calls.get(Figure::Rate).unwrap() > 0.0);
    let storage = peer("storage:///system");
    let streams = stream::run(&storage, real.volume.to_str().unwrap(), SHORT, None).unwrap();
    assert!(streams.get(Figure::Throughput).unwrap() > 0.0);
}

#[test]
fn a_refused_open_is_told_with_the_reason_of_the_daemon() {
    let real = RealDaemon::start().unwrap();
    let peer = Peer {
        socket: real.daemon.socket(),
        uri: "test:///no/such/file".into(),
    };
    let error = format!("{:#}", peer.open().unwrap_err());
    assert!(
        error.contains("cannot open test:///no/such/file"),
        "{error}"
    );
    assert!(error.contains("procedure 1 was refused"), "{error}");
}
