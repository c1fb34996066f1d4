//! The lengths of PDUs: what is too long or too short ends the session before any of it reaches
//! pmcd, and a secure channel is left alone.

use std::sync::mpsc::Receiver;

use anyhow::{Result, ensure};
use pcp_proto::greeting::CLIENT_HELLO;
use pcp_proto::{Creds, Features, Pdu, VersionCred};
use testbed::{PATIENCE, Pmproxy, Stub, Wire};

use crate::house::{House, address_of, pdu, pmproxy, recorder, session};

/// How bytes are handed to the system.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Bytes,
}

impl Cut {
    const ALL: [Cut; 2] = [Cut::Whole, Cut::Bytes];

    fn chunks(self, bytes: &[u8]) -> std::slice::Chunks<'_, u8> {
        match self {
            Cut::Whole => bytes.chunks(bytes.len()),
            Cut::Bytes => bytes.chunks(1),
        }
    }
}

/// A proxy before a pmcd that notes what it receives.
struct Gate {
    proxy: Pmproxy,
    stub: Stub,
    received: Receiver<Vec<u8>>,
}

impl Gate {
    fn open(args: &[&str]) -> Result<Gate> {
        let (stub, received) = recorder()?;
        Ok(Gate {
            proxy: pmproxy().args(args).start()?,
            stub,
            received,
        })
    }

    /// Sends what is `good`, and then, as it is cut, what is `bad`: only what is good comes through,
    /// and the log tells who was disconnected and why.
    fn stops(&self, good: &[u8], bad: &[u8], cut: Cut, reason: &str) -> Result<()> {
        let mut wire = session(&self.proxy, &self.stub)?;
        let address = address_of(&wire)?;
        wire.send(good)?;
        for piece in cut.chunks(bad) {
            // The proxy may hang up before it has got everything.
            let _ = wire.send(piece);
        }
        ensure!(wire.receive_to_end()?.0.is_empty());
        let received = self.received.recv_timeout(PATIENCE)?;
        ensure!(
            received == good,
            "{} of {} bytes came through",
            received.len(),
            good.len()
        );
        let pmcd = format!("127.0.0.1:{}", self.stub.port());
        self.proxy.await_log(&format!(
            "client {address} of {pmcd} is disconnected: {reason}\n"
        ))
    }
}

#[test]
fn the_limit_holds_exactly() {
    for limit in [12, 4096, 65536, 300_000] {
        let option = limit.to_string();
        let args: &[&str] = if limit == 65536 {
            &[]
        } else {
            &["-L", &option]
        };
        let gate = Gate::open(args).unwrap();
        let reason = format!(
            "PDU length {} is over the limit of {limit} bytes",
            limit + 1
        );
        for cut in Cut::ALL {
            let too_long = pdu(limit + 1, 9);
            let too_long = match cut {
                Cut::Whole => &too_long[..],
                Cut::Bytes => &too_long[..13],
            };
            gate.stops(&pdu(limit, 1), too_long, cut, &reason).unwrap();
            gate.stops(&[], too_long, cut, &reason).unwrap();
        }
    }
}

#[test]
fn a_length_that_no_pdu_has_ends_the_session() {
    let gate = Gate::open(&[]).unwrap();
    let too_short =
        |length: u32| format!("PDU length {length} is shorter than a PDU header (12 bytes)");
    let too_long = |length: u32| format!("PDU length {length} is over the limit of 65536 bytes");
    let cases = [
        (0, too_short(0)),
        (1, too_short(1)),
        (11, too_short(11)),
        (i32::MAX.cast_unsigned(), too_long(i32::MAX.cast_unsigned())),
        (i32::MIN.cast_unsigned(), too_long(i32::MIN.cast_unsigned())),
        (u32::MAX, too_long(u32::MAX)),
    ];
    let good: Vec<u8> = (12..40).flat_map(|len| pdu(len, 1)).collect();
    for (length, reason) in cases {
        let bad = [&length.to_be_bytes()[..], &[0x70; 60]].concat();
        for cut in Cut::ALL {
            for before in [&good[..], &[]] {
                gate.stops(before, &bad, cut, &reason).unwrap();
            }
        }
    }
}

#[test]
fn what_comes_along_with_the_greeting_is_held_to_the_limit_as_well() {
    let gate = Gate::open(&[]).unwrap();
    let target = format!("127.0.0.1 {}\n", gate.stub.port());
    for good in [&[][..], &pdu(12, 1), &pdu(100, 1).repeat(3)] {
        let bad = pdu(65537, 9);
        let sent = [CLIENT_HELLO, target.as_bytes(), good, &bad[..60]].concat();
        let mut wire = Wire::connect(gate.proxy.port()).unwrap();
        wire.send(&sent).unwrap();
        wire.receive_to_end().unwrap();
        assert_eq!(gate.received.recv_timeout(PATIENCE).unwrap(), good);
        let client = address_of(&wire).unwrap();
        let logged = format!(
            "client {client} of 127.0.0.1:{} is disconnected: ",
            gate.stub.port()
        );
        gate.proxy.await_log(&logged).unwrap();
    }
}

#[test]
fn clients_that_break_the_rule_leave_nothing_behind() {
    let house = House::open().unwrap();
    for length in [0, 11, 65537, u32::MAX] {
        let guest = || {
            let mut wire = Wire::through(house.proxy.port(), "localhost", house.pmcd.port())?;
            wire.send(&pdu(12, 0).repeat(3))?;
            let _ = wire.send(&length.to_be_bytes().repeat(1000));
            wire.receive_to_end()?;
            Ok(())
        };
        house.survives(guest).unwrap();
    }
}

#[test]
fn the_limit_is_for_clients_alone() {
    let proxy = pmproxy().args(["-L", "64"]).start().unwrap();
    let answer = pdu(1_000_000, 5);
    let sent = answer.clone();
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        wire.receive(64)?;
        wire.send(&sent)
    })
    .unwrap();
    let mut wire = session(&proxy, &stub).unwrap();
    wire.send(&pdu(64, 1)).unwrap();
    assert!(wire.receive(answer.len()).unwrap() == answer);
}

fn creds(features: Features) -> Vec<u8> {
    let versions = vec![VersionCred {
        version: 2,
        features,
    }];
    Creds { versions }.encode(1)
}

/// What looks like TLS: a client hello, then bytes of which most would be lengths over the limit.
fn tls() -> Vec<u8> {
    let noise = (0u32..100_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    [0x16, 3, 1, 2, 0].into_iter().chain(noise).collect()
}

#[test]
fn a_secure_channel_that_was_asked_for_passes_untouched() {
    let (proxy, stub) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    for features in [
        Features::SECURE,
        Features::SECURE | Features::HIGHRES | Features::CONTAINER,
    ] {
        for cut in Cut::ALL {
            let mut wire = session(&proxy, &stub).unwrap();
            let (creds, tls) = (creds(features), tls());
            // The first bytes cut as they may be, the bulk in one piece.
            let sent = [&creds[..], &tls].concat();
            std::thread::scope(|scope| {
                let mut sender = Wire::new(wire.stream().try_clone().unwrap()).unwrap();
                let sent = &sent;
                scope.spawn(move || {
                    for piece in cut.chunks(&sent[..64]) {
                        sender.send(piece).unwrap();
                    }
                    sender.send(&sent[64..]).unwrap();
                });
                assert!(
                    wire.receive(sent.len()).unwrap() == *sent,
                    "{features:?} {cut:?}"
                );
            });
        }
    }
}

#[test]
fn without_having_been_asked_for_it_is_held_to_the_limit() {
    let gate = Gate::open(&[]).unwrap();
    let reason = format!(
        "PDU length {} is over the limit of 65536 bytes",
        0x1603_0102_u32
    );
    let not_asked = creds(Features::HIGHRES | Features::CONTAINER);
    for before in [&[][..], &pdu(12, 0), &not_asked] {
        for cut in Cut::ALL {
            gate.stops(before, &tls()[..2000], cut, &reason).unwrap();
        }
    }
}

#[test]
fn who_asked_for_it_and_goes_on_without_is_still_held_to_the_limit() {
    let gate = Gate::open(&[]).unwrap();
    let good = [creds(Features::SECURE), pdu(500, 1)].concat();
    let reason = "PDU length 65537 is over the limit of 65536 bytes";
    for cut in Cut::ALL {
        gate.stops(&good, &pdu(65537, 1)[..100], cut, reason)
            .unwrap();
    }
}
