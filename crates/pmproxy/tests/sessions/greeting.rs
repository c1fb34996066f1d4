//! The lines that open a session, sent in every way, right and wrong.

use std::time::Duration;

use anyhow::{Result, ensure};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO};
use testbed::{PATIENCE, Pmproxy, Stub, Wire, eventually};

use crate::house::{address_of, expect_greeting, pdu, pmproxy};

/// Sends `pieces` one after the other, each as a segment of its own, and expects the session with
/// the stub that they ask for; the last PDU in them is to come back.
fn is_served(proxy: &Pmproxy, pieces: &[&[u8]], pdu: &[u8]) -> Result<()> {
    let mut wire = Wire::connect(proxy.port())?;
    for piece in pieces {
        wire.send_slowly(piece, piece.len(), Duration::from_millis(1))?;
    }
    ensure!(wire.receive(SERVER_HELLO.len())? == SERVER_HELLO);
    expect_greeting(&mut wire)?;
    ensure!(wire.receive(pdu.len())? == pdu);
    wire.finish_sending()?;
    ensure!(wire.receive_to_end()?.0.is_empty());
    Ok(())
}

#[test]
fn it_is_understood_however_it_is_cut_into_segments() {
    let (proxy, stub) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let served = |pieces: &[&[u8]], pdu: &[u8]| {
        is_served(&proxy, pieces, pdu).unwrap_or_else(|error| panic!("{pieces:?}: {error:#}"));
    };
    let pdu = pdu(64, 1);
    let target = format!("127.0.0.1 {}\n", stub.port()).into_bytes();
    let whole = [CLIENT_HELLO, &target, &pdu].concat();
    served(&[CLIENT_HELLO, &target, &pdu], &pdu);
    served(&[&whole], &pdu);
    served(&whole.chunks(1).collect::<Vec<_>>(), &pdu);
    for at in 1..whole.len() {
        served(&[&whole[..at], &whole[at..]], &pdu);
    }
}

#[test]
fn its_lines_may_end_as_on_other_systems_and_have_more_spaces() {
    let (proxy, stub) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let (pdu, port) = (pdu(64, 1), stub.port());
    for lines in [
        format!("pmproxy-client 1\r\n127.0.0.1 {port}\r\n"),
        format!("pmproxy-client 1\r\n127.0.0.1 {port}\n"),
        format!("pmproxy-client 1\nlocalhost  {port} \n"),
        format!("pmproxy-client 1\n[127.0.0.1]\t{port}\n"),
    ] {
        let whole = [lines.as_bytes(), &pdu].concat();
        is_served(&proxy, &[&whole], &pdu).unwrap();
        is_served(&proxy, &whole.chunks(1).collect::<Vec<_>>(), &pdu).unwrap();
    }
}

#[test]
fn first_pdus_that_come_along_are_passed_on_whole_and_in_order() {
    let (proxy, stub) = (pmproxy().start().unwrap(), Stub::echo().unwrap());
    let target = format!("127.0.0.1 {}\n", stub.port());
    let pdus: Vec<u8> = (0..40).flat_map(|fill| pdu(4000, fill)).collect();
    let whole = [CLIENT_HELLO, target.as_bytes(), &pdus].concat();
    is_served(&proxy, &[&whole], &pdus).unwrap();
}

/// Sends what is no greeting and expects the end of the connection, a line of the log that names
/// client and reason, and that nothing but the proxy's own greeting came.
fn is_refused(proxy: &Pmproxy, sent: &[u8], reason: &str) -> Result<()> {
    let mut wire = Wire::connect(proxy.port())?;
    let address = address_of(&wire)?;
    // The proxy may hang up before it has got everything.
    let _ = wire.send(sent);
    let (answer, _) = wire.receive_to_end()?;
    let greeted = sent.starts_with(CLIENT_HELLO);
    ensure!(
        answer.is_empty() || greeted && SERVER_HELLO == answer,
        "{answer:?}"
    );
    proxy.await_log(&format!("client {address} is not served: {reason}\n"))
}

#[test]
fn what_is_no_greeting_is_refused_with_a_line_in_the_log() {
    let proxy = pmproxy().start().unwrap();
    let client_hello_of_tls = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
    let expected = "where a pmproxy greeting was expected";
    let cases: [(&[u8], String); 10] = [
        (
            &client_hello_of_tls,
            "it begins with TLS, but pmproxy has no certificate (see -C and tls.conf)".into(),
        ),
        (
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            format!("it sent an HTTP request {expected}"),
        ),
        (
            b"POST /pmapi/context HTTP/1.1\r\n\r\n",
            format!("it sent an HTTP request {expected}"),
        ),
        (
            &pdu(20, 0),
            format!("it sent a PDU {expected} (did it take this for a pmcd?)"),
        ),
        (
            b"pmproxy-client 2\n",
            "it speaks another version of the pmproxy protocol".into(),
        ),
        (
            b"pmproxy-client 12\n",
            "it speaks another version of the pmproxy protocol".into(),
        ),
        (
            b"pmproxy-server 1\n",
            "it did not send a pmproxy greeting".into(),
        ),
        (b"\n", "it did not send a pmproxy greeting".into()),
        (
            b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
            "it did not send a pmproxy greeting".into(),
        ),
        (
            &[0xff; 100_000],
            "it did not send a pmproxy greeting".into(),
        ),
    ];
    for (sent, reason) in cases {
        is_refused(&proxy, sent, &reason).unwrap_or_else(|error| panic!("{reason}: {error:#}"));
    }
}

#[test]
fn a_line_that_names_no_pmcd_is_refused_with_a_line_in_the_log() {
    let (proxy, stub) = (
        pmproxy().start().unwrap(),
        Stub::start(|_, _| Ok(())).unwrap(),
    );
    let port = stub.port();
    let long = "h".repeat(256);
    let cases: [(Vec<u8>, &str); 16] = [
        (b"\n".into(), "the line names no host"),
        (b"127.0.0.1\n".into(), "the line names no port"),
        (
            b"127.0.0.1 0\n".into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            b"127.0.0.1 65536\n".into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            b"127.0.0.1 -1\n".into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            b"127.0.0.1 99999999999999999999\n".into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            b"127.0.0.1 pmcd\n".into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            format!("127.0.0.1 {port} {port}\n").into(),
            "the port is not a number from 1 to 65535",
        ),
        (
            format!("127.0.0.1;{port} {port}\n").into(),
            "the host is neither a name nor an address",
        ),
        (
            format!("[::1 {port}\n").into(),
            "the host is neither a name nor an address",
        ),
        (
            format!("../etc {port}\n").into(),
            "the host is neither a name nor an address",
        ),
        (
            format!("{long} {port}\n").into(),
            "the host name is longer than 255 bytes",
        ),
        (
            format!("{long}{long}").into(),
            "the line with host and port is longer than 263 bytes",
        ),
        (
            [&b"\xc3\x28"[..], format!(" {port}\n").as_bytes()].concat(),
            "the line with host and port is not text",
        ),
        (
            format!("127.0.0.1\0 {port}\n").into(),
            "the line with host and port is not text",
        ),
        (pdu(64, 0), "the line with host and port is not text"),
    ];
    for (line, reason) in cases {
        let sent = [CLIENT_HELLO, &line].concat();
        is_refused(&proxy, &sent, reason).unwrap_or_else(|error| panic!("{line:?}: {error:#}"));
    }
    assert_eq!(stub.accepted(), 0);
}

#[test]
fn a_client_that_stalls_is_dropped_after_the_connect_timeout() {
    let proxy = pmproxy().env("PMCD_CONNECT_TIMEOUT", "1").start().unwrap();
    let stub = Stub::start(|_, _| Ok(())).unwrap();
    let greeted = [
        CLIENT_HELLO,
        format!("127.0.0.1 {}", stub.port()).as_bytes(),
    ]
    .concat();
    let stalled = [0, 5, CLIENT_HELLO.len(), greeted.len()].map(|sent| {
        let mut wire = Wire::connect(proxy.port()).unwrap();
        wire.send(&greeted[..sent]).unwrap();
        wire
    });
    for mut wire in stalled {
        let address = address_of(&wire).unwrap();
        let (answer, _) = wire.receive_to_end().unwrap();
        assert!(answer.is_empty() || answer == SERVER_HELLO, "{answer:?}");
        let logged = format!("client {address} is not served: it stalled in the greeting for 1s\n");
        proxy.await_log(&logged).unwrap();
    }
    assert_eq!(stub.accepted(), 0);
}

#[test]
fn a_client_that_never_comes_to_the_end_is_dropped_as_well() {
    let proxy = pmproxy().env("PMCD_CONNECT_TIMEOUT", "1").start().unwrap();
    let mut wire = Wire::connect(proxy.port()).unwrap();
    wire.send(CLIENT_HELLO).unwrap();
    // A byte of a host name every few milliseconds: it is never silent, and never done.
    let pause = Duration::from_millis(25);
    assert!(wire.send_slowly(&[b'h'; 250], 1, pause).is_err());
    let address = address_of(&wire).unwrap();
    proxy
        .await_log(&format!(
            "client {address} is not served: it stalled in the greeting for 1s"
        ))
        .unwrap();
}

/// A look whether the port is open is nothing to warn about, nor is a client that changes its mind.
#[test]
fn a_client_that_leaves_is_counted_and_not_warned_about() {
    let proxy = pmproxy().start().unwrap();
    let left = r#"pmproxy_refused_total{reason="Left"}"#;
    let before = proxy.metric(left).unwrap();
    let sent = [
        &b""[..],
        b"pmproxy",
        CLIENT_HELLO,
        b"pmproxy-client 1\nlocalhost ",
    ];
    for bytes in sent {
        for reset in [false, true] {
            let mut wire = Wire::connect(proxy.port()).unwrap();
            wire.send(bytes).unwrap();
            if reset {
                wire.reset().unwrap();
            }
        }
    }
    let all = before + 2.0 * sent.len() as f64;
    let counted = eventually(PATIENCE, "all to be counted", || {
        proxy.metric(left).unwrap() >= all
    });
    counted.unwrap_or_else(|error| panic!("{error}\n{}", proxy.metrics().unwrap()));
    assert!(!proxy.log().contains("Warning"), "{}", proxy.log());
}
