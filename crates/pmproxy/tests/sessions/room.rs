//! When there is no room: more clients than there may be, and no descriptors left.

use std::thread::sleep;
use std::time::Duration;

use pcp_proto::{ErrorPdu, Pdu, Status};
use testbed::{PATIENCE, Pmproxy, Stub, Wire, eventually};

use crate::house::{House, address_of, expect_greeting, pdu, pminfo, pmproxy, session, through};

/// What pminfo says when there are too many clients.
const TOO_MANY: &str = "PMCD connection limit for this host exceeded";

#[test]
fn one_client_too_many_is_told_so_and_a_place_that_becomes_free_is_given_away() {
    let house = House::open_with(pmproxy().config("[pmproxy]\nclients.max = 2\n")).unwrap();
    let host = through(&house.proxy, house.pmcd.port());
    let visit = || Wire::through(house.proxy.port(), "localhost", house.pmcd.port());
    for _ in 0..3 {
        let mut guests = [visit().unwrap(), visit().unwrap()];
        guests.iter_mut().try_for_each(expect_greeting).unwrap();
        let turned_away = pminfo(&host).run().unwrap();
        assert!(turned_away.stderr.contains(TOO_MANY), "{turned_away}");

        let mut third = visit().unwrap();
        let answer = third.receive_to_end().unwrap().0;
        assert_eq!(
            answer,
            ErrorPdu::refusal(Status::CONNECTION_LIMIT).encode(0)
        );
        let logged = format!(
            "client {} is not served: there are as many clients as there may be (wanted localhost:{})\n",
            address_of(&third).unwrap(),
            house.pmcd.port()
        );
        house.proxy.await_log(&logged).unwrap();

        let [first, second] = guests;
        drop(first);
        let left = || house.proxy.metric("pmproxy_connected").unwrap();
        eventually(PATIENCE, "a place to be free", || left() == 1.0).unwrap();
        house.serves().unwrap();
        drop(second);
        house.is_in_order().unwrap();
    }
}

#[test]
fn far_too_many_clients_do_no_harm() {
    let house = House::open_with(pmproxy().config("[pmproxy]\nclients.max = 5\n")).unwrap();
    let crowd: Vec<Wire> = (0..300)
        .map(|_| Wire::connect(house.proxy.port()).unwrap())
        .collect();
    house
        .proxy
        .await_log("far more clients than there may be")
        .unwrap();
    drop(crowd);
    house.is_in_order().unwrap();
}

/// How often the log says that clients have to wait.
fn exhaustions(proxy: &Pmproxy) -> usize {
    proxy
        .log()
        .matches("for now, clients wait: Too many open files\n")
        .count()
}

#[test]
fn without_descriptors_it_waits_calmly_and_serves_again() {
    // Clients that say nothing keep their descriptors for as long as this test needs them.
    let house = House::open_with(pmproxy().env("PMCD_CONNECT_TIMEOUT", "60")).unwrap();
    house.confine(20).unwrap();
    for _ in 0..2 {
        let before = exhaustions(&house.proxy);
        let crowd: Vec<Wire> = (0..60)
            .map(|_| Wire::connect(house.proxy.port()).unwrap())
            .collect();
        let run_out = || exhaustions(&house.proxy) > before;
        eventually(PATIENCE, "descriptors to run out", run_out).unwrap();
        let told = exhaustions(&house.proxy);
        let worked = house.proxy.cpu_ticks().unwrap();
        sleep(Duration::from_secs(2));
        let ticks = house.proxy.cpu_ticks().unwrap() - worked;
        // A loop without rest would take a hundred in each second.
        assert!(
            ticks < 50,
            "it took {ticks} ticks of processor time in two seconds"
        );
        assert_eq!(exhaustions(&house.proxy), told, "{}", house.proxy.log());
        drop(crowd);
        house.is_in_order().unwrap();
    }
}

#[test]
fn without_descriptors_sessions_go_on() {
    let house = House::open().unwrap();
    let stub = Stub::echo().unwrap();
    house.confine(20).unwrap();
    let mut sessions: Vec<Wire> = (0..10)
        .map(|_| session(&house.proxy, &stub).unwrap())
        .collect();
    let waiting = Wire::connect(house.proxy.port()).unwrap();
    let run_out = || exhaustions(&house.proxy) > 0;
    eventually(PATIENCE, "descriptors to run out", run_out).unwrap();
    for wire in &mut sessions {
        let request = pdu(65536, 7);
        wire.send(&request).unwrap();
        assert!(wire.receive(request.len()).unwrap() == request);
    }
    drop((sessions, waiting));
    house.is_in_order().unwrap();
}

#[test]
fn a_client_for_whose_pmcd_there_is_no_descriptor_is_told_so() {
    let house = House::open().unwrap();
    house.confine(1).unwrap();
    let port = house.pmcd.port();
    for host in ["localhost", "127.0.0.1"] {
        let mut wire = Wire::through(house.proxy.port(), host, port).unwrap();
        let answer = wire.receive_to_end().unwrap().0;
        let status = ErrorPdu::decode(&answer).unwrap().status();
        assert_eq!(status, Status::from_errno(nix::libc::EMFILE), "{host}");
        let client = address_of(&wire).unwrap();
        let logged = format!("client {client} is not served: wanted {host}:{port}: cannot ");
        house.proxy.await_log(&logged).unwrap();
        house.proxy.await_log(": Too many open files\n").unwrap();
    }
}
