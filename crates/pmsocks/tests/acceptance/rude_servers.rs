//! Servers that do what real ones do only when they fail, or never.

use std::time::Duration;

use testbed::{Conduct, Firewall, Linkage};

use crate::fixture::{Bed, Caller, MODES, assert_told};

const SERVER: &str = "SOCKS server 10.1.0.1:1080";

/// What the program and its user are told by servers of these conducts, in this version.
fn errnos(version: &str, table: &[(Conduct, &str, &str)]) {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    for (conduct, errno, word) in table {
        let _stub = bed.stub(conduct.clone());
        for way in MODES {
            let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_DEBUG", "1");
            let ended = client.env("SOCKS_VERSION", version).run().unwrap();
            assert_eq!(
                ended.stdout,
                format!("{errno}\n"),
                "{way:?} {conduct:?}: {ended}"
            );
            assert_told(&ended, &[SERVER, word]);
        }
    }
}

fn code(code: u8) -> Conduct {
    Conduct {
        code: Some(code),
        ..Conduct::default()
    }
}

const TARGET: &str = "10.2.0.2:7 was not reached";
const ITSELF: &str = "itself failed the connection";

#[test]
fn every_answer_of_socks_5_has_its_errno() {
    errnos(
        "5",
        &[
            (code(1), "EHOSTUNREACH", TARGET),
            (code(2), "EACCES", ITSELF),
            (code(3), "ENETUNREACH", TARGET),
            (code(4), "EHOSTUNREACH", TARGET),
            (code(5), "ECONNREFUSED", TARGET),
            (code(6), "ETIMEDOUT", TARGET),
            (code(7), "EOPNOTSUPP", ITSELF),
            (code(8), "EAFNOSUPPORT", ITSELF),
            (code(9), "EPROTO", ITSELF),
            (code(255), "EPROTO", "255"),
        ],
    );
}

#[test]
fn every_answer_of_socks_4_has_its_errno() {
    errnos(
        "4",
        &[
            (code(91), "ECONNREFUSED", TARGET),
            (code(92), "EACCES", ITSELF),
            (code(93), "EACCES", ITSELF),
            (code(94), "EPROTO", ITSELF),
            (code(0), "EPROTO", ITSELF),
        ],
    );
}

#[test]
fn nonsense_is_told_from_silence_and_from_an_end() {
    let says = |words: &[u8]| Conduct {
        says: Some(words.to_vec()),
        ..Conduct::default()
    };
    let method = |method| Conduct {
        method: Some(method),
        ..Conduct::default()
    };
    errnos(
        "5",
        &[
            (says(b"HTTP/1.0 400 Bad Request\r\n\r\n"), "EPROTO", ITSELF),
            (says(b"\x05\x00\x06\x00"), "EPROTO", ITSELF),
            (says(b"\x05\x00\x05\x00\x00\x09"), "EPROTO", ITSELF),
            (method(0xff), "EACCES", ITSELF),
            (method(7), "EPROTO", ITSELF),
        ],
    );
}

#[test]
fn a_server_that_leaves_in_the_middle_is_named() {
    let closing = |count| Conduct {
        closes_after: Some(count),
        ..Conduct::default()
    };
    let table: Vec<_> = [0, 1, 2, 3, 6, 11]
        .into_iter()
        .map(|count| (closing(count), "ECONNRESET", "ended the dialogue"))
        .collect();
    errnos("5", &table);
    let table: Vec<_> = [0, 1, 7]
        .into_iter()
        .map(|count| (closing(count), "ECONNRESET", "ended the dialogue"))
        .collect();
    errnos("4", &table);
}

#[test]
fn answers_come_byte_by_byte_and_the_targets_bytes_at_once() {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    for version in ["4", "5"] {
        let _stub = bed.stub(Conduct {
            slow: Some(Duration::from_millis(1)),
            ..Conduct::default()
        });
        for way in MODES {
            let client = caller
                .echo(&bed, way, &["connect"])
                .env("SOCKS_VERSION", version);
            let shown = client.run().unwrap().succeeded().unwrap();
            assert_eq!(
                shown, "connected\npeer: the target\necho\n",
                "{way:?} {version}"
            );
        }
    }
}

#[test]
fn what_the_target_says_first_is_not_lost() {
    let bed = Bed::new();
    for version in ["4", "5"] {
        let _stub = bed.stub(Conduct {
            hurries: Some(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nearly".to_vec()),
            ..Conduct::default()
        });
        for way in MODES {
            let client = bed.through(way, &["curl", "-sS", "http://10.2.0.2:7/"]);
            let shown = client.env("SOCKS_VERSION", version).run().unwrap();
            assert_eq!(shown.succeeded().unwrap(), "early", "{way:?} {version}");
        }
    }
}

#[test]
fn a_server_that_asks_for_a_password_unasked_gets_none() {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    let stub = bed.stub(Conduct {
        credentials: Some(("alice", "s3cret")),
        ..Conduct::default()
    });
    for way in MODES {
        let client = caller
            .to(&bed, way, Firewall::OUTSIDE, &["connect"])
            .env("SOCKS_DEBUG", "1");
        let ended = client.run().unwrap();
        assert_eq!(ended.stdout, "EACCES\n", "{way:?}: {ended}");
        assert_told(&ended, &[SERVER, "itself"]);
        let client = client
            .env("SOCKS_USER", "alice")
            .env("SOCKS_PASSWORD", "s3cret");
        assert!(client.run().unwrap().stdout.ends_with("echo\n"));
    }
    assert_eq!(stub.asked(), ["5 alice@10.2.0.2:7", "5 alice@10.2.0.2:7"]);
}
