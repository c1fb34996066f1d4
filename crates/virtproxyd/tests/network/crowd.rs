//! More clients than there may be, and those that never say who they are.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testbed::{VirtWire, eventually, uri_unix, virsh, virt_admin};
use virt_proto::OpenFlags;

use crate::pki::{Gate, Pki};

#[test]
fn clients_that_never_log_in_keep_nobody_out() {
    let pki = Pki::new().unwrap();
    let config = format!("{}max_anonymous_clients = 10\n", pki.config());
    let gate = Gate::start(&config).unwrap();
    let port = gate.proxy.tls_port();
    let folder = pki.client("good", Some(&pki.authority)).unwrap();
    let list = || gate.tls_client(&folder).args(["list"]).run().unwrap();
    let before = gate.proxy.descriptors().unwrap();
    let silent: Vec<TcpStream> = (0..25)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    for _ in 0..3 {
        list().succeeded().unwrap();
    }
    let admin = virt_admin("virtproxyd", &gate.proxy.admin_socket());
    let info = admin
        .args(["server-clients-info", "virtproxyd"])
        .run()
        .unwrap();
    let info = info.succeeded().unwrap();
    let waiting = info
        .lines()
        .find(|line| line.starts_with("nclients_unauth "))
        .unwrap();
    let waiting: usize = waiting.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(waiting <= 10, "{info}");
    // Who had to make room is told to go.
    for client in &silent {
        client.set_nonblocking(true).unwrap();
    }
    let gone = |mut client: &TcpStream| match client.read(&mut [0; 64]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    // Long before the handshake is given up, after 30 s.
    let soon = Duration::from_secs(15);
    eventually(soon, "the ends of those who had to go", || {
        silent.iter().filter(|client| gone(client)).count() >= 15
    })
    .unwrap();
    drop(silent);
    gate.proxy.await_descriptors(before).unwrap();
}

#[test]
fn a_client_too_many_waits_until_another_leaves() {
    let gate = Gate::start("max_clients = 2\n").unwrap();
    let socket = gate.proxy.socket();
    let mut first = VirtWire::unix(&socket).unwrap();
    first.open("test:///default", OpenFlags(0)).unwrap();
    let mut second = VirtWire::unix(&socket).unwrap();
    second.open("test:///default", OpenFlags(0)).unwrap();
    let waiting = virsh(&uri_unix("test:///default", &socket)).args(["list", "--name"]);
    let mut waiting = waiting.start().unwrap();
    // The queue of the socket takes it, and nobody serves it.
    let admin = virt_admin("virtproxyd", &gate.proxy.admin_socket());
    let clients = admin
        .args(["server-clients-info", "virtproxyd"])
        .run()
        .unwrap();
    let clients = clients.succeeded().unwrap();
    assert!(clients.contains("nclients            : 2"), "{clients}");
    assert!(waiting.process().ended().unwrap().is_none());
    drop(first);
    let served = waiting.finish().unwrap();
    assert_eq!(served.succeeded().unwrap().trim(), "test");
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let gate = Gate::start("").unwrap();
    let socket = gate.proxy.socket();
    let before = gate.proxy.descriptors().unwrap();
    for round in 0..50 {
        let mut client = VirtWire::unix(&socket).unwrap();
        if round % 2 == 0 {
            client.open("test:///default", OpenFlags(0)).unwrap();
        }
        let _silent = UnixStream::connect(&socket).unwrap();
    }
    gate.proxy.await_descriptors(before).unwrap();
}
