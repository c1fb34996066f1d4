//! How sessions end, from either side, in order or not, and how they go on.

use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::{Context, Result, ensure};
use testbed::{Client, Ending, PATIENCE, Pmcd, Scratch, Stub, Wire, eventually};

use crate::house::{
    House, expect_greeting, name_of_pmcd, pdu, pminfo, pmproxy, recorder, session, through,
};

/// A session with the house's pmcd, not yet greeted.
fn visit(house: &House) -> Result<Wire> {
    Wire::through(house.proxy.port(), "localhost", house.pmcd.port())
}

#[test]
fn clients_that_leave_at_any_point_leave_nothing_behind() {
    let house = House::open().unwrap();
    // After the line with host and port, after the greeting, and inside a PDU.
    let stages: [fn(&mut Wire) -> Result<()>; 3] = [
        |_| Ok(()),
        expect_greeting,
        |wire| {
            expect_greeting(wire)?;
            wire.send(&pdu(5000, 1)[..3000])
        },
    ];
    for stage in stages {
        for reset in [false, true] {
            let guest = || {
                for _ in 0..10 {
                    let mut wire = visit(&house)?;
                    stage(&mut wire)?;
                    if reset {
                        wire.reset()?;
                    }
                }
                Ok(())
            };
            house.survives(guest).unwrap();
        }
    }
}

#[test]
fn clients_that_leave_while_much_is_on_its_way_leave_nothing_behind() {
    let house = House::open().unwrap();
    let bulk = Stub::start(|mut wire, _| {
        wire.greet_as_pmcd()?;
        wire.receive(12)?;
        // The client leaves before it has got all of this.
        while wire.send(&[5; 100_000]).is_ok() {}
        Ok(())
    });
    let bulk = bulk.unwrap();
    for reset in [false, true] {
        let guest = || {
            let mut wire = session(&house.proxy, &bulk)?;
            wire.send(&pdu(12, 0))?;
            wire.receive(3_000_000)?;
            if reset {
                wire.reset()?;
            }
            Ok(())
        };
        house.survives(guest).unwrap();
    }
    bulk.await_open(0).unwrap();
}

#[test]
fn three_hundred_clients_that_leave_at_once_free_their_pmcds() {
    let house = House::open().unwrap();
    let stub = Stub::echo().unwrap();
    for round in 1..=2 {
        let guest = || {
            let crowd =
                (0..300).map(|_| Wire::through(house.proxy.port(), "127.0.0.1", stub.port()));
            let crowd: Vec<Wire> = crowd.collect::<Result<_>>()?;
            stub.await_open(300)?;
            for (number, wire) in crowd.into_iter().enumerate() {
                if number % 2 == 0 {
                    wire.reset()?;
                }
            }
            stub.await_open(0)
        };
        guest().unwrap();
        assert_eq!(stub.accepted(), round * 300);
        house.is_in_order().unwrap();
    }
}

#[test]
fn half_close_travels_to_pmcd_and_its_late_reply_still_arrives() {
    let house = House::open().unwrap();
    let reply = pdu(2_000_000, 3);
    let sent = reply.clone();
    let late = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        let (request, ending) = wire.receive_to_end()?;
        ensure!(
            request == pdu(100, 1) && ending == Ending::Closed,
            "{ending:?}"
        );
        wire.send(&sent)
    });
    let late = late.unwrap();
    let guest = || {
        let mut wire = session(&house.proxy, &late)?;
        wire.send(&pdu(100, 1))?;
        wire.finish_sending()?;
        let (received, ending) = wire.receive_to_end()?;
        ensure!(received == reply && ending == Ending::Closed, "{ending:?}");
        Ok(())
    };
    house.survives(guest).unwrap();
    late.await_open(0).unwrap();
    late.stop().unwrap();
}

#[test]
fn a_client_may_still_send_when_pmcd_has_closed_its_direction() {
    let proxy = pmproxy().start().unwrap();
    let (sender, received) = channel();
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        wire.finish_sending()?;
        Ok(sender.send(wire.receive_to_end()?)?)
    });
    let stub = stub.unwrap();
    let mut wire = session(&proxy, &stub).unwrap();
    assert_eq!(wire.receive_to_end().unwrap(), (vec![], Ending::Closed));
    let sent: Vec<u8> = (0..50).flat_map(|fill| pdu(60_000, fill)).collect();
    wire.send(&sent).unwrap();
    drop(wire);
    let (bytes, ending) = received.recv_timeout(PATIENCE).unwrap();
    assert!(bytes == sent && ending == Ending::Closed, "{ending:?}");
}

#[test]
fn what_pmcd_sent_before_it_closed_or_failed_reaches_the_client() {
    let house = House::open().unwrap();
    let reply = Arc::new(pdu(3_000_000, 7));
    for reset in [false, true] {
        let sent = Arc::clone(&reply);
        let stub = Stub::start(move |mut wire, _| {
            wire.greet_as_pmcd()?;
            wire.receive(12)?;
            wire.send(&sent)?;
            if reset {
                // Only once the client has it all: a reset overtakes what is still on its way.
                wire.receive(12)?;
                wire.reset()?;
            }
            Ok(())
        });
        let stub = stub.unwrap();
        let guest = || {
            let mut wire = session(&house.proxy, &stub)?;
            wire.send(&pdu(12, 0))?;
            ensure!(wire.receive(reply.len())? == *reply);
            if reset {
                wire.send(&pdu(12, 0))?;
            }
            ensure!(wire.receive_to_end()?.0.is_empty());
            Ok(())
        };
        house.survives(guest).unwrap();
        stub.await_open(0).unwrap();
        stub.stop().unwrap();
    }
}

#[test]
fn clients_see_at_once_that_pmcd_was_killed_and_new_ones_reach_the_next() {
    let mut house = House::open().unwrap();
    for _ in 0..3 {
        let mut wire = visit(&house).unwrap();
        expect_greeting(&mut wire).unwrap();
        house.pmcd.kill();
        assert_eq!(wire.receive_to_end().unwrap().0, []);
        drop(wire);
        let refused = pminfo(&through(&house.proxy, house.pmcd.port()))
            .run()
            .unwrap();
        assert!(refused.stderr.contains("Connection refused"), "{refused}");
        house.pmcd.restart().unwrap();
        house.is_in_order().unwrap();
    }
}

#[test]
fn a_real_client_finds_its_pmcd_again_after_a_restart() {
    let mut house = House::open().unwrap();
    let folder = Scratch::new().unwrap();
    let rule = "delta = 50 msec;\nsome_inst hinv.ncpu > 0 -> print \"fired\";\n";
    let pmie = Client::new("pmie")
        .args(["-h", &through(&house.proxy, house.pmcd.port()), "-c"])
        .args([folder.write("rule", rule).unwrap()])
        .env("PMCD_RECONNECT_TIMEOUT", "1")
        .start()
        .unwrap();
    let fired = || pmie.stdout().matches("fired").count();
    eventually(PATIENCE, "the rule to fire", || fired() >= 2).unwrap();
    house.pmcd.restart().unwrap();
    let before = fired();
    eventually(PATIENCE, "the rule to fire again", || {
        fired() >= before + 2 && pmie.stderr().contains("Re-established connection")
    })
    .with_context(|| pmie.stderr())
    .unwrap();
    drop(pmie);
    house.is_in_order().unwrap();
}

#[test]
fn a_pmcd_that_hangs_disturbs_no_client_of_another() {
    let mut house = House::open().unwrap();
    let beta = Pmcd::start("beta").unwrap();
    let mut before: Vec<Wire> = (0..20).map(|_| visit(&house).unwrap()).collect();
    before.iter_mut().try_for_each(expect_greeting).unwrap();
    house.pmcd.pause().unwrap();
    // The system takes these for pmcd, which says nothing.
    let mut after: Vec<Wire> = (0..3).map(|_| visit(&house).unwrap()).collect();
    for wire in &mut before {
        wire.send(&pdu(60_000, 1)).unwrap();
    }
    for _ in 0..5 {
        let client = pminfo(&through(&house.proxy, beta.port()));
        assert_eq!(name_of_pmcd(&client).unwrap(), "beta");
    }
    house.pmcd.resume().unwrap();
    after.iter_mut().try_for_each(expect_greeting).unwrap();
    drop((before, after));
    house.is_in_order().unwrap();
}

#[test]
fn an_idle_session_outlives_the_connect_timeout() {
    let proxy = pmproxy().env("PMCD_CONNECT_TIMEOUT", "3").start().unwrap();
    let stub = Stub::echo().unwrap();
    let mut idle = session(&proxy, &stub).unwrap();
    // The end of a client that stalls shows that the time has passed.
    let mut stalled = Wire::connect(proxy.port()).unwrap();
    stalled.receive_to_end().unwrap();
    let request = pdu(1000, 1);
    idle.send(&request).unwrap();
    assert_eq!(idle.receive(request.len()).unwrap(), request);
}

#[test]
fn the_end_of_the_proxy_ends_its_sessions() {
    let mut house = House::open().unwrap();
    let (stub, received) = recorder().unwrap();
    let mut wire = session(&house.proxy, &stub).unwrap();
    wire.send(&pdu(100, 1)).unwrap();
    house.proxy.terminate().unwrap();
    assert_eq!(wire.receive_to_end().unwrap().0, []);
    assert_eq!(received.recv_timeout(PATIENCE).unwrap(), pdu(100, 1));
}
