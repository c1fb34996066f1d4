//! Request ports that a service manager has opened, with systemd's own tool for it.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixStream};

use anyhow::Result;
use nix::sys::signal::Signal;
use testbed::{PATIENCE, eventually, eventually_some, packages};

use crate::home::{Guest, Home, Start, answers, greets};

/// The variables that the activator is to pass on.
const PASSED_ON: [&str; 4] = [
    "HOME_OF_TEST",
    "PCP_RUN_DIR",
    "PCP_SYSCONF_DIR",
    "PMPROXY_LOCAL",
];

/// pmproxy as `systemd-socket-activate` starts it, once somebody connects to one of `sockets`.
fn activated<'a>(start: Start<'a>, sockets: &[&str], kind: &[&str]) -> Result<Start<'a>> {
    packages::require("systemd")?;
    let mut words = vec!["systemd-socket-activate"];
    words.extend(kind);
    words.extend(sockets.iter().flat_map(|socket| ["-l", *socket]));
    words.extend(PASSED_ON.iter().flat_map(|name| ["-E", *name]));
    Ok(start.env("PMPROXY_LOCAL", "").through(words))
}

/// Waits until the pmproxy is up that the first client has started.
fn serves(guest: &Guest<'_>, home: &Home) -> Result<()> {
    guest.says("pmproxy request port(s)")?;
    eventually(PATIENCE, "an answer", || answers(home.address()))
}

#[test]
fn sockets_that_the_service_manager_hands_over_are_served_and_no_others_opened() {
    let home = Home::new().unwrap();
    let (address, path) = (home.address().to_string(), home.join("handed.socket"));
    let start = home.pmproxy(["-F", "-p", "1"]);
    let sockets = [&*address, path.to_str().unwrap()];
    let guest = activated(start, &sockets, &[]).unwrap().begins().unwrap();
    // The first connection starts it.
    let connect = || UnixStream::connect(&path).ok();
    let client = eventually_some(PATIENCE, "the activator", connect).unwrap();
    greets(client).unwrap();
    serves(&guest, &home).unwrap();
    guest
        .says("-i, -p, -s, PMPROXY_PORT and PMPROXY_SOCKET have no effect")
        .unwrap();
    let inet = format!("ok {} inet {}", home.address().port(), home.address().ip());
    assert_eq!(guest.ports(), [inet, format!("ok unix {}", path.display())]);
    assert!(!home.join("pmproxy.socket").exists());
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert!(path.exists(), "the activator's socket was removed");
}

#[test]
fn a_unix_socket_alone_is_enough_to_serve() {
    let home = Home::new().unwrap();
    let path = home.join("handed.socket");
    let start = activated(home.pmproxy(["-F"]), &[path.to_str().unwrap()], &[]);
    let guest = start.unwrap().begins().unwrap();
    let connect = || UnixStream::connect(&path).ok();
    let client = eventually_some(PATIENCE, "the activator", connect).unwrap();
    greets(client).unwrap();
    assert_eq!(guest.ports(), [format!("ok unix {}", path.display())]);
}

#[test]
fn a_socket_for_datagrams_is_refused() {
    let home = Home::new().unwrap();
    let path = home.join("handed.socket");
    let messages = home.join("fatal");
    let start = home.pmproxy(["-F".as_ref(), "-x".as_ref(), messages.as_os_str()]);
    let start = activated(start, &[path.to_str().unwrap()], &["--datagram"]);
    let guest = start.unwrap().begins().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    let send = || sender.send_to(b"hello", &path).is_ok();
    eventually(PATIENCE, "the activator", send).unwrap();
    let ended = guest.finish().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    let error = fs::read_to_string(&messages).unwrap();
    assert!(
        error.contains(
            "cannot serve clients on descriptor 3, which the service manager handed over"
        ),
        "{error}"
    );
    assert!(error.contains("ListenStream="), "{error}");
}

#[test]
fn ports_that_others_can_reach_are_refused_when_only_local_clients_may_be_served() {
    let home = Home::new().unwrap();
    let port = home.address().port();
    let start = home.pmproxy(["-F", "-x", "fatal"]);
    let start = activated(start, &[&format!("0.0.0.0:{port}")], &[]).unwrap();
    let guest = start.env("PMPROXY_LOCAL", "1").begins().unwrap();
    eventually(PATIENCE, "the activator", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .unwrap();
    let ended = guest.finish().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    let expected =
        format!("the service manager handed over 0.0.0.0:{port}: change its socket unit");
    assert!(
        home.read("fatal").contains(&expected),
        "{}",
        home.read("fatal")
    );
}

#[test]
fn sockets_for_another_process_are_left_alone_and_a_senseless_number_is_an_error() {
    let home = Home::new().unwrap();
    for pid in ["1", "nobody", ""] {
        let start = home.foreground().env("LISTEN_FDS", "7");
        let guest = start.env("LISTEN_PID", pid).up().unwrap();
        assert!(answers(home.address()));
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    }
    for number in ["-1", "many", "99999999999"] {
        let script = "LISTEN_PID=$$ exec \"$@\"";
        let start = home.foreground().env("LISTEN_FDS", number);
        let error = start.through(["sh", "-c", script, "sh"]).fails().unwrap();
        assert!(
            error.contains(&format!("LISTEN_FDS={number}: expected")),
            "{error}"
        );
    }
    let start = home.foreground().env("LISTEN_FDS", "9");
    let script = "LISTEN_PID=$$ exec \"$@\" 3</dev/null";
    let error = start.through(["sh", "-c", script, "sh"]).fails().unwrap();
    assert!(error.contains("descriptor 3"), "{error}");
}
