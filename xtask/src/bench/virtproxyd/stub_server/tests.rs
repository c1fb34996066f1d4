//! The stub server with the load generator's own clients.

use std::time::Duration;

use tempfile::TempDir;
use testbed::{PATIENCE, eventually};

use super::super::super::closed_loop;
use super::super::super::figures::Figure;
use super::super::super::link::NearSide;
use super::super::peer::Peer;
use super::super::wire::{exchange, prove, read_frame};
use super::*;

/// A stub server that ends with the test's process.
fn start() -> (TempDir, Peer) {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("libvirt-sock");
    let listener = listen(&socket).unwrap();
    std::thread::spawn(move || serve(&listener, &mut Stub));
    let uri = "test:///default".into();
    (folder, Peer { socket, uri })
}

#[test]
fn connections_are_opened_and_their_calls_answered_side_by_side() {
    let (_folder, peer) = start();
    let mut links = peer.connect_all(20).unwrap();
    for link in links.iter_mut().rev() {
        prove(link).unwrap();
    }
}

#[test]
fn the_closed_loop_counts_round_trips() {
    let (_folder, peer) = start();
    let length = Duration::from_millis(50);
    let sample = closed_loop::run(&peer, 8, exchange(), length, None).unwrap();
    assert!(sample.get(Figure::Rate).unwrap() > 0.0);
    assert_eq!(sample.get(Figure::Cpu), None);
}

#[test]
fn a_client_that_reads_late_gets_every_reply() {
    let (_folder, peer) = start();
    let mut link = peer.connect().unwrap();
    let mut sender = link.try_clone().unwrap();
    let calls = 50_000;
    let sending = std::thread::spawn(move || {
        let many = exchange().request.repeat(100);
        for _ in 0..calls / 100 {
            sender.write_all(&many).unwrap();
        }
    });
    for _ in 0..calls {
        assert_eq!(read_frame(&mut link).unwrap().payload.len(), 8);
    }
    sending.join().unwrap();
}

#[test]
fn a_call_that_comes_byte_by_byte_is_answered() {
    let (_folder, peer) = start();
    let mut link = peer.connect().unwrap();
    for byte in exchange().request {
        link.write_all(&[byte]).unwrap();
    }
    read_frame(&mut link).unwrap();
}

#[test]
fn a_client_that_sends_no_frame_is_closed_and_the_next_one_served() {
    let (_folder, peer) = start();
    let mut link = peer.connect().unwrap();
    link.write_all(&[0xff; 64]).unwrap();
    let mut rest = Vec::new();
    eventually(PATIENCE, "the end", || link.read_to_end(&mut rest).is_ok()).unwrap();
    peer.connect().unwrap();
}
