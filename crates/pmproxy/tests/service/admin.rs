//! The daemon's own numbers: HTTP on the admin socket.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use testbed::{PATIENCE, Stub, eventually};

use crate::home::{Home, answers, mode, round_trip, session};

/// An answer over HTTP.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request in which the connection is to be closed, and reads the answer.
fn ask(socket: &Path, request: &str) -> Result<Answer> {
    let mut stream = connect(socket)?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .with_context(|| format!("no head: {text:?}"))?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// All values of the numbers, by their name and labels.
fn numbers(socket: &Path) -> Result<BTreeMap<String, f64>> {
    let answer = ask(socket, &request("GET", "/metrics"))?;
    ensure!(answer.status == 200, "{}", answer.head);
    parse(&answer.body)
}

/// Reads Prometheus text; whether it is well-formed is for the real parser to say.
fn parse(text: &str) -> Result<BTreeMap<String, f64>> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let value = value.parse().with_context(|| line.to_owned())?;
            Ok((sample.to_owned(), value))
        })
        .collect()
}

#[test]
fn the_numbers_tell_what_passed() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    let _guest = home.foreground().up().unwrap();
    let socket = home.join("pmproxy.admin.socket");
    let before = numbers(&socket).unwrap();
    assert_eq!(before["pmproxy_connected"], 0.0);
    assert_eq!(before["pmproxy_clients_total"], 0.0);

    let mut wire = session(home.address(), &pmcd).unwrap();
    round_trip(&mut wire, 100).unwrap();
    round_trip(&mut wire, 50).unwrap();
    let expected = BTreeMap::from([
        ("pmproxy_bytes_total{direction=\"to_client\"}", 170.0),
        ("pmproxy_bytes_total{direction=\"to_pmcd\"}", 150.0),
        ("pmproxy_clients_total", 1.0),
        ("pmproxy_connected", 1.0),
        (
            "pmproxy_pdus_total{direction=\"to_client\",type=\"ERROR\"}",
            1.0,
        ),
        (
            "pmproxy_pdus_total{direction=\"to_client\",type=\"FETCH\"}",
            2.0,
        ),
        (
            "pmproxy_pdus_total{direction=\"to_pmcd\",type=\"FETCH\"}",
            2.0,
        ),
        ("pmproxy_sessions", 1.0),
    ]);
    let matches = |values: &BTreeMap<String, f64>| {
        expected
            .iter()
            .all(|(name, value)| values.get(*name) == Some(value))
    };
    // What has arrived may be counted a moment later.
    eventually(PATIENCE, format!("{expected:?}"), || {
        numbers(&socket).is_ok_and(|now| matches(&now))
    })
    .with_context(|| format!("{:?}", numbers(&socket)))
    .unwrap();

    drop(wire);
    let gone =
        |now: BTreeMap<String, f64>| now["pmproxy_connected"] + now["pmproxy_sessions"] == 0.0;
    eventually(PATIENCE, "the client is gone", || {
        numbers(&socket).is_ok_and(gone)
    })
    .unwrap();
    drop(std::net::TcpStream::connect(home.address()).unwrap());
    let left = "pmproxy_refused_total{reason=\"Left\"}";
    eventually(PATIENCE, left, || {
        numbers(&socket).is_ok_and(|now| now.get(left) == Some(&1.0))
    })
    .unwrap();
}

#[test]
fn the_answer_says_what_it_is() {
    let home = Home::new().unwrap();
    let _guest = home.foreground().up().unwrap();
    let socket = home.join("pmproxy.admin.socket");
    let answer = ask(&socket, &request("GET", "/metrics?name=any")).unwrap();
    assert_eq!(answer.status, 200);
    let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.head.contains(content_type), "{}", answer.head);
    let length = format!("content-length: {}", answer.body.len());
    assert!(answer.head.contains(&length), "{}", answer.head);
    let answer = ask(&socket, &request("HEAD", "/metrics")).unwrap();
    assert_eq!((answer.status, &*answer.body), (200, ""));
}

#[test]
fn other_requests_are_refused_with_the_reason() {
    let home = Home::new().unwrap();
    let _guest = home.foreground().up().unwrap();
    let socket = home.join("pmproxy.admin.socket");
    for target in ["/", "/metrics/", "/metric", "/../metrics"] {
        let answer = ask(&socket, &request("GET", target)).unwrap();
        assert_eq!(
            (answer.status, &*answer.body),
            (404, "the numbers are at /metrics\n"),
            "{target}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&socket, &request(method, "/metrics")).unwrap();
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for garbage in ["\0\u{1}garbage\r\n\r\n", "GET\r\n\r\n", &long] {
        let mut stream = connect(&socket).unwrap();
        // It may hang up before it has read all.
        let _ = stream.write_all(garbage.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    numbers(&socket).unwrap();
}

#[test]
fn readers_that_dawdle_keep_no_other_waiting() {
    let home = Home::new().unwrap();
    let _guest = home.foreground().up().unwrap();
    let socket = home.join("pmproxy.admin.socket");
    let mut dawdlers = Vec::new();
    for part in ["", "GET", "GET /metrics HTTP/1.1\r\nHost: lo"] {
        for _ in 0..4 {
            let mut stream = connect(&socket).unwrap();
            stream.write_all(part.as_bytes()).unwrap();
            dawdlers.push(stream);
        }
    }
    // One that asks and asks and reads nothing.
    let mut greedy = connect(&socket).unwrap();
    greedy.set_nonblocking(true).unwrap();
    let asking = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    while greedy.write(asking.as_bytes()).is_ok() {}
    numbers(&socket).unwrap();
    assert!(answers(home.address()));
}

#[test]
fn the_socket_is_for_its_owner_only_and_goes_with_the_daemon() {
    let home = Home::new().unwrap();
    let path = |name: &str| home.join(name).display().to_string();
    let text = format!("[pmproxy]\nadmin.socket = {}\n", path("configured"));
    home.write("admin.conf", &text).unwrap();
    let plain = || home.foreground();
    let configured = || home.foreground().add(["-c", "admin.conf"]);
    let variable = path("variable");
    let cases = [
        (plain(), "pmproxy.admin.socket"),
        (configured(), "configured"),
        (
            configured().env("PMPROXY_ADMIN_SOCKET", &variable),
            "variable",
        ),
        (plain().env("PMPROXY_ADMIN_SOCKET", "relative"), "relative"),
    ];
    for (start, name) in cases {
        let guest = start.up().unwrap();
        let socket = home.join(name);
        assert_eq!(mode(&socket).unwrap(), 0o600, "{name}");
        numbers(&socket).unwrap();
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
        assert!(!socket.exists(), "{name} is left");
    }
}

#[test]
fn without_the_socket_it_says_so_and_serves() {
    let home = Home::new().unwrap();
    let precious = home.write("precious", "data").unwrap();
    let guest = home
        .foreground()
        .env("PMPROXY_ADMIN_SOCKET", &precious)
        .up()
        .unwrap();
    let complaint = format!(
        "no numbers can be read: admin socket {}: Address already in use",
        precious.display()
    );
    guest.says(&complaint).unwrap();
    assert!(answers(home.address()));
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    assert_eq!(home.read("precious"), "data");
}
