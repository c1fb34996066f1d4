//! Peers that are slow, or take nothing at all: every byte arrives in order, memory stays bounded,
//! and nobody else is held up.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, ensure};
use socket2::SockRef;
use testbed::{PATIENCE, Pmproxy, Stub, eventually};

use crate::house::{House, pdu, pmproxy, session};

/// What the proxy's memory may grow by for a peer that takes nothing, in kB.
const GROWTH: u64 = 4096;

/// Processor time that is as good as none for a proxy at rest, in ticks of a second's hundred.
const CALM: u64 = 30;

/// PDUs of many lengths, from the shortest to the longest, `total` bytes or a little more. Each byte
/// tells its place.
fn pdus(total: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(total + 65536);
    let lengths = [12, 13, 60, 65536, 1500, 4096, 33_333, 16, 65535];
    for length in lengths.into_iter().cycle() {
        if bytes.len() >= total {
            break;
        }
        let start = bytes.len();
        bytes.extend(pdu(length, 0));
        for (at, byte) in bytes.iter_mut().enumerate().skip(start + 12) {
            *byte = at.wrapping_mul(2_654_435_761).to_le_bytes()[2];
        }
    }
    bytes
}

/// Reads `wanted.len()` bytes in pieces of a few bytes up to many, with breaks, and compares them.
fn read_slowly(mut stream: &TcpStream, wanted: &[u8]) -> Result<()> {
    let mut sizes = [1, 3, 4096, 77, 20_000, 1].into_iter().cycle();
    let mut piece = vec![0; 20_000];
    let mut at = 0;
    while at < wanted.len() {
        let size = sizes.next().unwrap_or(1);
        if size == 77 {
            sleep(Duration::from_micros(200));
        }
        let count = stream.read(&mut piece[..size])?;
        ensure!(
            count > 0,
            "the stream ended after {at} of {} bytes",
            wanted.len()
        );
        ensure!(
            wanted[at..].starts_with(&piece[..count]),
            "other bytes after {at}"
        );
        at += count;
    }
    Ok(())
}

#[test]
fn a_client_that_reads_slowly_gets_every_byte_in_order() {
    let proxy = pmproxy().start().unwrap();
    let reply = pdus(16_000_000);
    let sent = reply.clone();
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        wire.send(&sent)
    });
    let stub = stub.unwrap();
    let mut wire = session(&proxy, &stub).unwrap();
    read_slowly(wire.stream(), &reply).unwrap();
    assert!(wire.receive_to_end().unwrap().0.is_empty());
    stub.stop().unwrap();
}

#[test]
fn a_pmcd_that_reads_slowly_gets_every_byte_in_order() {
    let proxy = pmproxy().start().unwrap();
    let requests = pdus(8_000_000);
    let (wanted, (sender, received)) = (requests.clone(), channel());
    let stub = Stub::start(move |mut wire, _| {
        // A small window, so that the proxy has to wait.
        SockRef::from(&**wire.stream()).set_recv_buffer_size(16 * 1024)?;
        wire.greet_as_pmcd()?;
        read_slowly(wire.stream(), &wanted)?;
        ensure!(wire.receive_to_end()?.0.is_empty());
        Ok(sender.send(())?)
    });
    let stub = stub.unwrap();
    let mut wire = session(&proxy, &stub).unwrap();
    wire.send(&requests).unwrap();
    drop(wire);
    let outcome = received.recv_timeout(PATIENCE);
    stub.stop().unwrap();
    outcome.unwrap();
}

#[test]
fn both_directions_at_once_do_not_hold_each_other_up() {
    let proxy = pmproxy().start().unwrap();
    let (requests, replies) = (pdus(3_000_000), pdus(4_000_000));
    let (wanted, sent) = (requests.clone(), replies.clone());
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        let (mut stream, sent): (&TcpStream, &[u8]) = (wire.stream(), &sent);
        scope(|scope| {
            let sending = scope.spawn(move || stream.write_all(sent));
            read_slowly(wire.stream(), &wanted)?;
            sending.join().map_or(Ok(()), |outcome| Ok(outcome?))
        })
    });
    let stub = stub.unwrap();
    let wire = session(&proxy, &stub).unwrap();
    scope(|scope| {
        let mut stream: &TcpStream = wire.stream();
        scope.spawn(move || stream.write_all(&requests).unwrap());
        read_slowly(wire.stream(), &replies).unwrap();
    });
    stub.await_open(0).unwrap();
    stub.stop().unwrap();
}

/// Waits until the proxy passes nothing more on in this direction, though it did.
fn await_standstill(proxy: &Pmproxy, direction: &str) -> Result<()> {
    let name = format!("pmproxy_bytes_total{{direction=\"{direction}\"}}");
    let (mut before, mut looks) = (0.0, 0);
    eventually(PATIENCE, "bytes to be held up", || {
        let now = proxy.metric(&name).unwrap_or_default();
        looks = if now == before && now > 0.0 {
            looks + 1
        } else {
            0
        };
        before = now;
        looks == 30
    })
}

/// Expects that the proxy neither grew nor works, and serves others.
fn is_unimpressed(house: &House, memory_before: u64) -> Result<()> {
    let growth = house.proxy.rss_kb()?.saturating_sub(memory_before);
    ensure!(growth < GROWTH, "it grew by {growth} kB");
    let before = house.proxy.cpu_ticks()?;
    sleep(Duration::from_secs(1));
    let ticks = house.proxy.cpu_ticks()? - before;
    ensure!(
        ticks < CALM,
        "it took {ticks} ticks of processor time in a second at rest"
    );
    house.serves()
}

/// What made the C pmproxy grow by 2 GB.
#[test]
fn a_client_that_asks_for_much_and_reads_nothing_costs_little() {
    let house = House::open().unwrap();
    let reply = pdu(1_000_000, 3);
    let sent = reply.clone();
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        // It ends when the client is gone.
        while wire.receive(60).is_ok() && wire.send(&sent).is_ok() {}
        Ok(())
    });
    let stub = stub.unwrap();
    house.serves().unwrap();
    let memory = house.proxy.rss_kb().unwrap();
    let mut wire = session(&house.proxy, &stub).unwrap();
    wire.send(&pdu(60, 1).repeat(3000)).unwrap();
    await_standstill(&house.proxy, "to_client").unwrap();
    is_unimpressed(&house, memory).unwrap();
    // Whoever reads after all gets it all.
    for _ in 0..20 {
        assert!(wire.receive(reply.len()).unwrap() == reply);
    }
    wire.reset().unwrap();
    stub.await_open(0).unwrap();
    house.is_in_order().unwrap();
}

#[test]
fn a_client_that_sends_for_ever_to_a_pmcd_that_reads_nothing_costs_little() {
    let house = House::open().unwrap();
    let stub = Stub::start(|mut wire, stop| {
        wire.greet_as_pmcd()?;
        stop.wait();
        Ok(())
    });
    let stub = stub.unwrap();
    house.serves().unwrap();
    let memory = house.proxy.rss_kb().unwrap();
    let wire = session(&house.proxy, &stub).unwrap();
    let mut stream: &TcpStream = wire.stream();
    stream.set_nonblocking(true).unwrap();
    let requests = pdus(1_000_000);
    let mut sent = 0;
    let mut is_full = || loop {
        match stream.write(&requests[sent % requests.len()..]) {
            Ok(count) => sent += count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    };
    // Again and again, since the system takes more as it moves what it has.
    for _ in 0..20 {
        assert!(is_full());
        sleep(Duration::from_millis(10));
    }
    await_standstill(&house.proxy, "to_pmcd").unwrap();
    is_unimpressed(&house, memory).unwrap();
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    wire.reset().unwrap();
    house.is_in_order().unwrap();
    drop(stub);
}

#[test]
fn many_clients_that_read_nothing_hold_up_nobody() {
    let house = House::open().unwrap();
    let stub = Stub::start(|mut wire, _| {
        wire.greet_as_pmcd()?;
        while wire.send(&[1; 100_000]).is_ok() {}
        Ok(())
    });
    let stub = stub.unwrap();
    let stalled: Vec<_> = (0..40)
        .map(|_| session(&house.proxy, &stub).unwrap())
        .collect();
    await_standstill(&house.proxy, "to_client").unwrap();
    for _ in 0..5 {
        house.serves().unwrap();
    }
    drop(stalled);
    stub.await_open(0).unwrap();
    house.is_in_order().unwrap();
}
