//! Where it listens: `-i`, `-p`, `-s`, and the variables with the same power.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use testbed::{Client, PATIENCE, Stub, eventually, free_port};

use crate::home::{Guest, Home, answers, greets, mode, needs_root, session};

/// What the kernel says of the TCP sockets that listen on a port: queue length and address.
fn listening(port: u16) -> Result<Vec<(u32, String)>> {
    let filter = format!("sport = :{port}");
    let shown = Client::new("ss")
        .args(["-ltnH", &filter])
        .run()?
        .succeeded()?;
    let mut sockets = Vec::new();
    for line in shown.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        ensure!(words.len() >= 4, "ss shows {line:?}");
        sockets.push((words[2].parse()?, words[3].to_owned()));
    }
    sockets.sort();
    Ok(sockets)
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// The TCP rows of a table, without the unix socket.
fn tcp_ports(guest: &Guest<'_>) -> Vec<String> {
    let mut rows = guest.ports();
    rows.retain(|row| !row.starts_with("ok unix"));
    rows
}

#[test]
fn every_port_of_every_list_is_open_on_every_interface() {
    let home = Home::new().unwrap();
    let SocketAddr::V4(here) = home.address() else {
        panic!("not IPv4")
    };
    let [a, b, c, d] = here.ip().octets();
    let (first, second) = (*here.ip(), Ipv4Addr::new(a, b, c, d ^ 2));
    let ports = [
        here.port(),
        here.port() + 1,
        here.port() + 2,
        here.port() + 3,
    ];
    let lists = [
        format!("{},{}", ports[2], ports[0]),
        format!("{}", ports[1]),
    ];
    let interfaces = [first.to_string(), second.to_string()];
    let options = [
        "-f",
        "-p",
        &lists[0],
        "-i",
        &interfaces[0],
        "-p",
        &lists[1],
        "-i",
        &interfaces[1],
    ];
    let united = format!("{},{}", ports[0], ports[3]);
    let guest = home
        .pmproxy(options)
        .env("PMPROXY_PORT", united)
        .up()
        .unwrap();
    let mut expected = Vec::new();
    for port in ports {
        for interface in &interfaces {
            expected.push(format!("ok {port} inet {interface}"));
        }
    }
    assert_eq!(tcp_ports(&guest), expected);
    for port in ports {
        assert!(answers((first, port).into()) && answers((second, port).into()));
        let third = Ipv4Addr::new(a, b, c ^ 2, d);
        for other in [third, Ipv4Addr::LOCALHOST] {
            let error = TcpStream::connect((other, port)).unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionRefused,
                "{other}:{port}"
            );
        }
    }
}

#[test]
fn the_variable_names_ports_without_any_option() {
    let home = Home::new().unwrap();
    let [dash_i, host, _, port] = home.here();
    let guest = home
        .pmproxy(["-f", &dash_i, &host])
        .env("PMPROXY_PORT", &port)
        .up()
        .unwrap();
    assert_eq!(tcp_ports(&guest), [format!("ok {port} inet {host}")]);
    assert!(answers(home.address()));
}

#[test]
fn an_interface_may_be_a_name() {
    let home = Home::new().unwrap();
    let port = free_port().unwrap();
    let options = [
        "-f",
        "-i",
        "localhost",
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ];
    let guest = home.pmproxy(options).up().unwrap();
    let rows = tcp_ports(&guest);
    assert!(
        rows.contains(&format!("ok {port} inet INADDR_LOOPBACK")),
        "{rows:?}"
    );
    let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len(), "{rows:?}");
    assert!(answers((Ipv4Addr::LOCALHOST, port).into()));
}

#[test]
fn an_interface_that_no_one_knows_is_a_fatal_error() {
    let home = Home::new().unwrap();
    let error = home
        .pmproxy(["-f", "-i", "no.such.host.invalid"])
        .fails()
        .unwrap();
    assert!(
        error.starts_with("pmproxy: -i no.such.host.invalid: "),
        "{error}"
    );
}

#[test]
fn an_interface_of_another_machine_is_reported_and_the_others_serve() {
    let home = Home::new().unwrap();
    // From a range that is set aside for documents (RFC 5737).
    let guest = home.foreground().add(["-i", "192.0.2.1"]).up().unwrap();
    let port = home.address().port();
    assert!(
        guest
            .ports()
            .contains(&format!("err {port} inet 192.0.2.1"))
    );
    guest
        .says(&format!(
            "OpenRequestSocket({port}, 192.0.2.1, inet) bind: Cannot assign requested address \
             (no interface of this machine has it: see -i)"
        ))
        .unwrap();
    assert!(answers(home.address()));
}

#[test]
fn the_local_mode_binds_loopback_only() {
    let home = Home::new().unwrap();
    let port = free_port().unwrap();
    let options = ["-f", "-i", "127.9.9.9", "-p", &port.to_string()];
    let guest = home
        .pmproxy(options)
        .env("PMPROXY_LOCAL", "1")
        .up()
        .unwrap();
    guest.says("PMPROXY_LOCAL=1: -i is ignored").unwrap();
    let addresses: Vec<_> = listening(port)
        .unwrap()
        .into_iter()
        .map(|(_, at)| at)
        .collect();
    let mut expected = vec![format!("127.0.0.1:{port}")];
    let mut rows = vec![format!("ok {port} inet INADDR_LOOPBACK")];
    if has_ipv6() {
        expected.push(format!("[::1]:{port}"));
        rows.push(format!("ok {port} ipv6 INADDR_LOOPBACK"));
    }
    assert_eq!(addresses, expected);
    assert_eq!(tcp_ports(&guest), rows);
}

#[test]
fn without_options_it_listens_on_44322_of_all_addresses() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    // A network of its own: the usual port may be taken in that of the machine.
    let guest = home
        .pmproxy(["-f"])
        .through(["unshare", "--net", "--"])
        .up()
        .unwrap();
    let rows = tcp_ports(&guest);
    assert_eq!(rows[0], "ok 44322 inet INADDR_ANY");
    assert!(
        rows.len() == 1 || rows[1] == "ok 44322 ipv6 INADDR_ANY",
        "{rows:?}"
    );
    // The local mode can be switched off by name.
    drop(guest);
    let guest = home.pmproxy(["-f"]).env("PMPROXY_LOCAL", "0");
    let guest = guest.through(["unshare", "--net", "--"]).up().unwrap();
    assert_eq!(tcp_ports(&guest), rows);
}

#[test]
fn a_machine_without_ipv6_is_served_without_complaint() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let script = "ip link set lo up
        if [ -e /proc/sys/net/ipv6 ]; then echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; fi
        exec \"$@\"";
    let guest = home.pmproxy(["-f"]).env("PMPROXY_LOCAL", "1");
    let guest = guest
        .through(["unshare", "--net", "--", "sh", "-ec", script, "sh"])
        .up()
        .unwrap();
    assert_eq!(tcp_ports(&guest), ["ok 44322 inet INADDR_LOOPBACK"]);
    assert!(!guest.said().contains("Error"), "{}", guest.said());
}

#[test]
fn the_queue_of_pending_clients_is_as_long_as_the_variable_says() {
    let home = Home::new().unwrap();
    let port = home.address().port();
    let length = |guest: Guest<'_>| {
        let [(length, _)] = listening(port).unwrap()[..] else {
            panic!("several sockets")
        };
        drop(guest);
        length
    };
    let start = home.foreground().env("PMPROXY_MAXPENDING", "7");
    assert_eq!(length(start.up().unwrap()), 7);
    let most: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(length(home.foreground().up().unwrap()), 1024.min(most));
}

#[test]
fn the_unix_socket_serves_sessions_to_everyone() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    let socket = home.join("other.socket");
    let cases = [
        (home.foreground(), home.join("pmproxy.socket")),
        (
            home.foreground().env("PMPROXY_SOCKET", &socket),
            socket.clone(),
        ),
        (
            home.foreground()
                .add(["-s", "option.socket"])
                .env("PMPROXY_SOCKET", &socket),
            home.join("option.socket"),
        ),
    ];
    for (start, path) in cases {
        let guest = start.up().unwrap();
        assert_eq!(guest.ports()[0], format!("ok unix {}", path.display()));
        assert_eq!(mode(&path).unwrap(), 0o666);
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        greets(&stream).unwrap();
        writeln!(stream, "127.0.0.1 {}", pmcd.port()).unwrap();
        let mut greeting = [0; 20];
        stream.read_exact(&mut greeting).unwrap();
        let pdu = crate::home::pdu(300);
        stream.write_all(&pdu).unwrap();
        let mut echoed = vec![0; 300];
        stream.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, pdu);
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let home = Home::new().unwrap();
    let path = home.join("pmproxy.socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let guest = home.foreground().up().unwrap();
    assert_eq!(guest.ports()[0], format!("ok unix {}", path.display()));
    greets(UnixStream::connect(&path).unwrap()).unwrap();
}

#[test]
fn a_socket_in_use_is_an_error_and_is_left_alone() {
    let home = Home::new().unwrap();
    let path = home.join("pmproxy.socket");
    let owner = UnixListener::bind(&path).unwrap();
    let guest = home.foreground().up().unwrap();
    assert_eq!(guest.ports()[0], format!("err unix {}", path.display()));
    let complaint = format!(
        "OpenRequestSocket({}, unix) bind: Address already in use",
        path.display()
    );
    guest.says(&complaint).unwrap();
    guest.says("choose another path with -s").unwrap();
    assert!(answers(home.address()));
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    still_reaches(&path, &owner).unwrap();
}

/// Expects that clients of the socket still reach its owner.
fn still_reaches(path: &Path, owner: &UnixListener) -> Result<()> {
    owner.set_nonblocking(true)?;
    while owner.accept().is_ok() {}
    let _client = UnixStream::connect(path)?;
    owner.accept()?;
    Ok(())
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let home = Home::new().unwrap();
    let precious = home.write("precious", "data").unwrap();
    let guest = home.foreground().add(["-s", "precious"]).up().unwrap();
    assert_eq!(guest.ports()[0], format!("err unix {}", precious.display()));
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert_eq!(home.read("precious"), "data");
}

#[test]
fn a_taken_port_leaves_the_others_in_service() {
    let home = Home::new().unwrap();
    let other = SocketAddr::new(home.address().ip(), home.address().port() + 1);
    let _taken = TcpListener::bind(other).unwrap();
    let guest = home
        .foreground()
        .add(["-p", &other.port().to_string()])
        .up()
        .unwrap();
    let row = format!("  err   -1 {} inet   {}", other.port(), other.ip());
    assert!(guest.rows().contains(&row), "{:?}", guest.rows());
    session(home.address(), &Stub::echo().unwrap()).unwrap();
}

#[test]
fn a_port_below_1024_is_served_after_the_change_of_user() {
    needs_root().unwrap();
    let home = Home::new().unwrap();
    let address = SocketAddr::new(home.address().ip(), 1 + home.address().port() % 1023);
    let options = [
        "-F",
        "-i",
        &address.ip().to_string(),
        "-p",
        &address.port().to_string(),
    ];
    let guest = home.pmproxy(options).up().unwrap();
    guest.says("user = pcp").unwrap();
    let pmcd = Stub::echo().unwrap();
    let mut wire = session(address, &pmcd).unwrap();
    crate::home::round_trip(&mut wire, 100).unwrap();
}

#[test]
fn the_default_socket_needs_no_folder_to_serve_tcp() {
    let home = Home::new().unwrap();
    let start = home.foreground().env("PCP_RUN_DIR", "no/such/folder");
    let guest = start.up().unwrap();
    guest
        .says("(its folder is missing: make it, or choose another path with -s)")
        .unwrap();
    eventually(PATIENCE, "an answer", || answers(home.address())).unwrap();
}
