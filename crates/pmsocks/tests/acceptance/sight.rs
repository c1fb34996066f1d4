//! What programs see of a connection while it is made and afterwards: the same as of a direct one.

use std::time::Duration;

use testbed::{
    Client, Conduct, Finished, Firewall, Held, Linkage, PATIENCE, eventually, eventually_some,
};

use crate::fixture::{Bed, Caller, MODES, Way, lines};

/// Every linkage in the ways that it can be run.
const RUNS: [(Linkage, Way); 4] = [
    (Linkage::Dynamic, MODES[0]),
    (Linkage::Dynamic, MODES[1]),
    (Linkage::Static, MODES[1]),
    (Linkage::Raw, MODES[1]),
];

/// A SOCKS server that answers when it is let go.
fn held() -> (Held, Conduct) {
    let held = Held::default();
    let conduct = Conduct {
        held: Some(held.clone()),
        ..Conduct::default()
    };
    (held, conduct)
}

/// Runs a program, and lets the SOCKS server answer when it has printed this line.
fn release_at(line: &str, client: &Client, held: &Held) -> Finished {
    let mut running = client.start().unwrap();
    let come = eventually_some(PATIENCE, line, || {
        let printed = running.stdout().lines().any(|printed| printed == line);
        let ended = running.process().ended().unwrap().is_some();
        (printed || ended).then_some(printed)
    });
    if !come.is_ok_and(|printed| printed) {
        let (out, err) = (running.stdout(), running.stderr());
        panic!("`{client}` did not come to {line:?}: it printed {out:?}, {err:?}");
    }
    held.release();
    running.finish().unwrap()
}

/// Runs a command in all ways, each with a server that is held until the program says `line`.
fn see(command: &[&str], line: &str, wanted: &str) {
    let bed = Bed::new();
    for (linkage, way) in RUNS {
        let caller = Caller::new(linkage);
        let (held, conduct) = held();
        let _stub = bed.stub(conduct);
        let seen = release_at(line, &caller.echo(&bed, way, command), &held);
        assert_eq!(seen.stdout, wanted, "{linkage:?} {way:?}: {}", seen.stderr);
    }
}

const NONBLOCK: &str = "\
connect: EINPROGRESS
before: nothing
error before: none
peer before: ENOTCONN
connect again: EALREADY
settings: nonblock cloexec nodelay keepalive
pending
after: out
error: none
peer: the target
settings: nonblock cloexec nodelay keepalive
socket: the same
early byte: EAGAIN
connect at last: EISCONN
echo
";

#[test]
fn poll_waits_for_the_answer_of_the_server() {
    see(&["nonblock", "poll"], "pending", NONBLOCK);
}

#[test]
fn ppoll_waits_for_the_answer_of_the_server() {
    see(&["nonblock", "ppoll"], "pending", NONBLOCK);
}

#[test]
fn poll_waits_on_another_number_of_the_socket() {
    see(&["nonblock", "poll dup"], "pending", NONBLOCK);
}

#[test]
fn select_waits_for_the_answer_of_the_server() {
    see(&["nonblock", "select"], "pending", NONBLOCK);
}

#[test]
fn pselect_waits_for_the_answer_of_the_server() {
    see(&["nonblock", "pselect"], "pending", NONBLOCK);
}

#[test]
fn epoll_waits_for_the_answer_of_the_server() {
    see(&["nonblock", "epoll"], "pending", NONBLOCK);
}

#[test]
fn epoll_waits_when_it_was_told_of_the_socket_before() {
    see(&["nonblock", "epoll before"], "pending", NONBLOCK);
}

#[test]
fn epoll_tells_its_edge_when_the_server_has_answered() {
    see(&["nonblock", "epoll edge"], "pending", NONBLOCK);
}

#[test]
fn epoll_tells_its_edge_when_it_was_told_of_the_socket_before() {
    see(&["nonblock", "epoll edge before"], "pending", NONBLOCK);
}

#[test]
fn epoll_waits_on_another_number_of_the_socket() {
    see(&["nonblock", "epoll dup"], "pending", NONBLOCK);
}

#[test]
fn a_connect_that_a_signal_ended_goes_on_behind_the_program() {
    let wanted = "signal\nconnect: EINTR\npending\nafter: out\nerror: none\necho\n";
    see(&["signal", "poll"], "pending", wanted);
}

#[test]
fn a_connect_that_a_signal_ended_can_be_called_again() {
    let wanted = "signal\nconnect: EINTR\npending\nagain: connected\necho\n";
    see(&["signal", "again"], "pending", wanted);
}

#[test]
fn a_signal_does_not_end_a_connect_that_is_to_be_restarted() {
    see(
        &["signal", "restart"],
        "signal",
        "signal\nconnect: connected\necho\n",
    );
}

#[test]
fn the_sockets_own_timeout_ends_a_connect() {
    let wanted = "connect: EINPROGRESS\npending\nafter: out\nerror: none\necho\n";
    see(&["sndtimeo"], "pending", wanted);
}

#[test]
fn a_socket_that_is_closed_meanwhile_does_not_come_back() {
    let wanted = "connect: EINPROGRESS\nnumber: the same\npeer: ENOTCONN\nerror: none\npending\n\
                  connect: connected\necho\n";
    see(&["close"], "pending", wanted);
}

#[test]
fn a_child_waits_for_the_connection_of_its_parent() {
    let wanted = "connect: EINPROGRESS\npending\nchild: good\nafter: out\necho\n";
    see(&["fork-pending"], "pending", wanted);
}

/// Runs a command in all ways with a server that answers at once.
fn see_at_once(command: &[&str], wanted: &[&str]) {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    for (linkage, way) in RUNS {
        let caller = Caller::new(linkage);
        let client = caller
            .echo(&bed, way, command)
            .within(Duration::from_secs(60));
        assert_eq!(lines(&client), wanted, "{linkage:?} {way:?}");
    }
}

#[test]
fn a_hundred_connections_are_made_in_one_loop() {
    see_at_once(&["loop", "100"], &["100 of 100"]);
}

#[test]
fn a_child_has_the_connection_of_its_parent_and_its_own() {
    let wanted = [
        "connect: connected",
        "child: good",
        "peer: the target",
        "echo",
    ];
    see_at_once(&["fork"], &wanted);
}

#[test]
fn children_of_a_program_whose_threads_connect_do_not_hang() {
    see_at_once(&["storm", "20"], &["20 of 20"]);
}

#[test]
fn another_program_inherits_a_connection() {
    see_at_once(&["exec"], &["connect: connected", "echo"]);
}

#[test]
fn a_socket_keeps_the_address_that_it_was_bound_to() {
    see_at_once(
        &["bound", Firewall::INSIDE],
        &["connect: connected", "echo"],
    );
}

#[test]
fn what_has_nothing_to_do_with_socks_passes_by() {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    let folder = bed.open_folder("sockets");
    let path = folder.join("unix");
    let words = ["-u", "-c", SERVERS, path.to_str().unwrap(), Firewall::GATE];
    let servers = bed
        .wall
        .gate()
        .client("/usr/bin/python3")
        .args(words)
        .start()
        .unwrap();
    eventually(PATIENCE, "the servers", || servers.stdout() == "ready\n").unwrap();
    for (linkage, way) in RUNS {
        let caller = Caller::new(linkage);
        let datagram = caller.to(&bed, way, Firewall::GATE, &["datagram"]);
        let wanted = ["connect: connected", "peer: the target", "echo"];
        assert_eq!(lines(&datagram), wanted, "{linkage:?} {way:?}");
        let unix = caller.to(&bed, way, path.to_str().unwrap(), &["unix"]);
        assert_eq!(
            lines(&unix),
            ["connect: connected", "echo"],
            "{linkage:?} {way:?}"
        );
    }
    assert_eq!(stub.accepted(), 0);
}

/// Sends back what comes to a unix socket, and to port 7 over UDP.
const SERVERS: &str = r#"
import os, select, socket, sys
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
unix.listen()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((sys.argv[2], 7))
print("ready")
while True:
    for ready in select.select([unix, datagrams], [], [])[0]:
        if ready is unix:
            peer, _ = unix.accept()
            peer.sendall(peer.recv(100))
            peer.close()
        else:
            words, peer = datagrams.recvfrom(100)
            datagrams.sendto(words, peer)
"#;

#[test]
fn a_direct_route_is_seen_as_it_is() {
    let bed = Bed::new();
    bed.routes("direct 0.0.0.0 0.0.0.0\n");
    let stub = bed.stub(Conduct::default());
    let _echo = bed.wall.gate().echo(Firewall::GATE, 7).unwrap();
    for (linkage, way) in RUNS {
        let caller = Caller::new(linkage);
        for (command, wanted) in [
            (
                vec!["connect"],
                vec!["connected", "peer: the target", "echo"],
            ),
            (vec!["threads", "50"], vec!["50 of 50"]),
            (vec!["loop", "100"], vec!["100 of 100"]),
        ] {
            let client = caller.to(&bed, way, Firewall::GATE, &command);
            assert_eq!(lines(&client), wanted, "{linkage:?} {way:?}");
        }
    }
    assert_eq!(stub.accepted(), 0);
}
