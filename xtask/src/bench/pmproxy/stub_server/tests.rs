//! The stub server with plain clients and clients with TLS.

use std::net::SocketAddr;

use testbed::Scratch;

use super::super::super::link::{Link, NearSide};
use super::super::peer::{Handshake, Peer, SecurePeer};
use super::super::wire::request;
use super::*;

/// A stub server that ends with the test's process.
fn start() -> (Scratch, Certificates, SocketAddr) {
    let scratch = Scratch::new().unwrap();
    let certificates = Certificates::make(&scratch).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut desk = Desk::new(&certificates).unwrap();
    std::thread::spawn(move || serve(&listener, &mut desk));
    (scratch, certificates, address)
}

/// Clients that trust the authority of `certificates`.
fn client(address: SocketAddr, certificates: &Certificates) -> SecurePeer {
    let target = None;
    SecurePeer {
        peer: Peer { address, target },
        handshake: Handshake::AfterCredentials,
        config: certificates.client_config().unwrap(),
    }
}

fn round_trip(link: &mut impl Link, reply: u32) {
    let mut missing = reply as usize;
    link.send(&request(reply)).unwrap();
    let mut scratch = vec![0; 32 << 10];
    while !link.receive(&mut missing, &mut scratch).unwrap() {}
    assert_eq!(missing, 0);
}

#[test]
fn plain_clients_and_clients_with_tls_are_answered_side_by_side() {
    let (_scratch, certificates, address) = start();
    let secure = client(address, &certificates);
    let mut plain = secure.peer.connect().unwrap();
    for mut link in secure.connect_all(2).unwrap() {
        for reply in [12, 1200, 16 << 10, (16 << 10) + 1, MAX_REPLY] {
            round_trip(&mut link, reply);
            round_trip(&mut plain, reply);
        }
    }
}

#[test]
fn a_client_with_tls_that_reads_late_gets_every_reply() {
    let (_scratch, certificates, address) = start();
    let secure = client(address, &certificates);
    let mut link = secure.connect().unwrap();
    let many = 2 * READ_AHEAD;
    for _ in 0..many {
        link.send(&request(100_000)).unwrap();
    }
    let mut missing = many * 100_000;
    let mut scratch = vec![0; 32 << 10];
    while !link.receive(&mut missing, &mut scratch).unwrap() {}
}

#[test]
fn a_certificate_of_another_run_is_not_trusted() {
    let (_scratch, _, address) = start();
    let other = Scratch::new().unwrap();
    let secure = client(address, &Certificates::make(&other).unwrap());
    let error = secure.connect().map(|_| ()).unwrap_err();
    assert!(
        format!("{error:#}").contains("invalid peer certificate"),
        "{error:#}"
    );
}
