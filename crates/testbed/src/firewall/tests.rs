//! The firewall keeps its hosts apart, and its servers do what they are for, by the word of clients
//! that are not ours.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::{Client, Pmcd, Wire};

/// A web server for curl, whose pages all say `outside`.
fn page(wall: &Firewall, address: &str) -> crate::Stub {
    let serve = |mut wire: Wire, _: &crate::Stop| {
        wire.receive(16)?;
        wire.send(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\noutside")
    };
    wall.outside().stub(address, 80, serve).unwrap()
}

fn curl(host: &Host, args: &[&str]) -> Client {
    host.client("curl")
        .args(["--silent", "--show-error", "--max-time", "15"])
        .args(args)
}

#[test]
fn nothing_passes_the_firewall_but_through_its_servers() {
    let wall = Firewall::new().unwrap();
    let _page = page(&wall, Firewall::OUTSIDE);
    let url = "http://10.2.0.2/";
    assert_eq!(
        curl(wall.gate(), &[url])
            .run()
            .unwrap()
            .succeeded()
            .unwrap(),
        "outside"
    );
    let direct = curl(wall.inside(), &[url]).run().unwrap();
    assert!(direct.stderr.contains("Couldn't connect"), "{direct}");
    let named = curl(wall.inside(), &["http://outside.example/"])
        .run()
        .unwrap();
    assert!(named.stderr.contains("Could not resolve host"), "{named}");
}

#[test]
fn a_danted_serves_both_its_versions_and_logs_it() {
    let wall = Firewall::new().unwrap();
    let _pages = (
        page(&wall, Firewall::OUTSIDE),
        page(&wall, Firewall::OUTSIDE6),
    );
    let danted = Danted::start(&wall).unwrap();
    for (option, url) in [
        ("--socks4", "http://10.2.0.2/"),
        ("--socks5", "http://10.2.0.2/"),
        ("--socks5-hostname", "http://outside.example/"),
        ("--socks5", "http://[fd02::2]/"),
        ("--socks5-hostname", "http://outside6.example/"),
    ] {
        let shown = curl(wall.inside(), &[option, "10.1.0.1:1080", url])
            .run()
            .unwrap();
        assert_eq!(shown.succeeded().unwrap(), "outside", "{option} {url}");
    }
    danted.await_log(" 10.2.0.2.80\n").unwrap();
    assert_eq!(danted.connections(), 5, "{}", danted.log());
    let shown = curl(
        wall.inside(),
        &["--socks5", "[fd01::1]:1080", "http://10.2.0.2/"],
    );
    assert_eq!(shown.run().unwrap().succeeded().unwrap(), "outside");
}

#[test]
fn a_danted_refuses_what_it_is_told_to_and_asks_for_passwords() {
    let wall = Firewall::new().unwrap();
    let _page = page(&wall, Firewall::OUTSIDE);
    wall.gate().add_user("alice", "s3cret").unwrap();
    let danted = Danted::builder()
        .password()
        .block("10.2.0.2/32 port = 81")
        .start(&wall)
        .unwrap();
    let ask = |proxy: &str, port: u16| {
        let (proxy, url) = (
            format!("socks5://{proxy}@10.1.0.1"),
            format!("http://10.2.0.2:{port}/"),
        );
        curl(wall.inside(), &["--proxy", &proxy, &url])
            .run()
            .unwrap()
    };
    assert_eq!(ask("alice:s3cret", 80).succeeded().unwrap(), "outside");
    let refused = ask("alice:guess", 80);
    assert!(
        refused.stderr.contains("rejected"),
        "{refused}\n{}",
        danted.log()
    );
    let refused = ask("alice:s3cret", 81);
    assert!(
        refused.stderr.contains("(2)"),
        "{refused}\n{}",
        danted.log()
    );
}

#[test]
fn a_microsocks_serves_those_who_know_its_password() {
    let wall = Firewall::new().unwrap();
    let _page = page(&wall, Firewall::OUTSIDE6);
    let server =
        Microsocks::with_password(&wall, Firewall::GATE6, 1080, "alice", "s3cret").unwrap();
    let ask = |password: &str| {
        let proxy = format!("socks5h://alice:{password}@[fd01::1]");
        curl(
            wall.inside(),
            &["--proxy", &proxy, "http://outside6.example/"],
        )
        .run()
        .unwrap()
    };
    assert_eq!(ask("s3cret").succeeded().unwrap(), "outside");
    server.await_log("outside6.example:80").unwrap();
    assert!(!ask("guess").status.success());
}

#[test]
fn a_pmcd_outside_is_seen_from_the_firewall() {
    let wall = Firewall::new().unwrap();
    let _pmcd = Pmcd::builder("alpha").on(wall.outside()).start().unwrap();
    let shown = wall
        .gate()
        .client("pminfo")
        .args(["-h", "10.2.0.2", "-f", "pmcd.hostname"]);
    assert!(
        shown
            .run()
            .unwrap()
            .succeeded()
            .unwrap()
            .contains("\"alpha\"")
    );
}

#[test]
fn programs_run_as_the_user_who_is_asked_for_and_are_ended_as_themselves() {
    let wall = Firewall::new().unwrap();
    let id = |who| {
        wall.inside()
            .client_as(who, "id")
            .run()
            .unwrap()
            .succeeded()
            .unwrap()
    };
    assert!(id(Who::Root).contains("uid=0(root)"));
    assert!(
        id(Who::Nobody).starts_with("uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)")
    );
    let mut sleeper = wall
        .inside()
        .client_as(Who::Nobody, "sleep")
        .args(["1000"])
        .start()
        .unwrap();
    let name = format!("/proc/{}/comm", sleeper.process().pid());
    let is_sleep = || std::fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n");
    crate::eventually(PATIENCE, "nsenter to become sleep", is_sleep).unwrap();
}

#[test]
fn the_files_of_a_host_are_its_own() {
    let wall = Firewall::new().unwrap();
    wall.inside()
        .write("/etc/gatehouse-test", "inside")
        .unwrap();
    let shown = wall
        .inside()
        .client("cat")
        .args(["/etc/gatehouse-test"])
        .run()
        .unwrap();
    assert_eq!(shown.succeeded().unwrap(), "inside");
    assert!(!std::path::Path::new("/etc/gatehouse-test").exists());
    assert!(!wall.gate().path("/etc/gatehouse-test").exists());
    assert!(wall.gate().write("/tmp/gatehouse-test", "").is_err());
}

#[test]
fn all_is_gone_with_the_firewall() {
    let wall = Firewall::new().unwrap();
    let pid = wall.gate().pid();
    let host = wall.gate().clone();
    drop(wall);
    let alive = host.enter(|| TcpListener::bind("127.0.0.1:0").is_ok());
    assert!(alive.unwrap(), "one handle is left");
    drop(host);
    assert!(!std::path::Path::new(&format!("/proc/{pid}/ns/net")).exists());
}

#[test]
fn a_name_server_answers_what_it_was_told() {
    let wall = Firewall::new().unwrap();
    let names = [
        ("proxy.example", Firewall::GATE),
        ("proxy.example", Firewall::GATE6),
    ];
    let server = NameServer::start(wall.gate(), Firewall::GATE, &names).unwrap();
    wall.inside()
        .write("/etc/nsswitch.conf", "hosts: dns\n")
        .unwrap();
    wall.inside()
        .write("/etc/resolv.conf", "nameserver 10.1.0.1\n")
        .unwrap();
    let ask = |name: &str| {
        wall.inside()
            .client("getent")
            .args(["ahosts", name])
            .run()
            .unwrap()
    };
    let shown = ask("proxy.example").succeeded().unwrap();
    assert!(
        shown.contains(Firewall::GATE) && shown.contains(Firewall::GATE6),
        "{shown}"
    );
    assert_eq!(ask("other.example").status.code(), Some(2));
    assert!(server.asked().contains(&"proxy.example".to_owned()));
}

fn stubbed(conduct: Conduct) -> (Firewall, SocksStub) {
    let wall = Firewall::new().unwrap();
    let stub = SocksStub::start(wall.gate(), Firewall::GATE, 1080, conduct).unwrap();
    (wall, stub)
}

/// A page that comes with the server's answer, whatever is asked for.
fn early_page() -> Option<Vec<u8>> {
    Some(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nearly".to_vec())
}

/// What curl gets through a stub.
fn fetch(wall: &Firewall, option: &str, host: &str) -> crate::Finished {
    let url = format!("http://{host}:7/");
    curl(wall.inside(), &[option, "10.1.0.1:1080", &url])
        .run()
        .unwrap()
}

#[test]
fn a_stub_of_a_socks_server_serves_every_version_and_notes_who_asked() {
    let (wall, stub) = stubbed(Conduct {
        slow: Some(Duration::from_millis(1)),
        hurries: early_page(),
        ..Conduct::default()
    });
    for (option, host) in [
        ("--socks4", "10.2.0.2"),
        ("--socks4a", "outside.example"),
        ("--socks5", "10.2.0.2"),
        ("--socks5-hostname", "outside.example"),
    ] {
        let shown = fetch(&wall, option, host);
        assert_eq!(shown.stdout, "early", "{shown}");
    }
    let wanted = [
        "4 @10.2.0.2:7",
        "4a @outside.example:7",
        "5 @10.2.0.2:7",
        "5 @outside.example:7",
    ];
    assert_eq!(stub.asked(), wanted);
}

#[test]
fn a_stub_relays_to_names_of_its_host() {
    let (wall, stub) = stubbed(Conduct {
        versions: vec!["4a"],
        relays: true,
        ..Conduct::default()
    });
    let _page = page(&wall, Firewall::OUTSIDE);
    let ask = |url: &str| {
        curl(wall.inside(), &["--socks4a", "10.1.0.1:1080", url])
            .run()
            .unwrap()
    };
    assert_eq!(
        ask("http://outside.example/").succeeded().unwrap(),
        "outside"
    );
    let refused = ask("http://outside.example:81/");
    assert!(refused.stderr.contains("(91)"), "{refused}");
    assert_eq!(
        stub.asked(),
        ["4a @outside.example:80", "4a @outside.example:81"]
    );
}

#[test]
fn a_stub_refuses_with_the_code_that_it_is_given() {
    let (wall, _stub) = stubbed(Conduct {
        code: Some(5),
        ..Conduct::default()
    });
    let shown = fetch(&wall, "--socks5", "10.2.0.2");
    assert!(shown.stderr.contains("(5)"), "{shown}");
}
