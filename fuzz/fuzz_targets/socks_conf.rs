//! The routes of `pcp_socks.conf`: every error is in a line that exists, every decision is made by
//! such a line, and what commands are given means nothing to a shell. What follows a zero byte is
//! a file of user names and the name that a program asks for.

#![no_main]

use std::io;
use std::net::IpAddr;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use socks_conf::{Action, Asked, Facts, Lookup, NameDecision, Routes, Server, User};

/// Every file has the same text.
struct Files<'a>(&'a [u8]);

impl Lookup for Files<'_> {
    fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn service(&self, name: &str) -> Option<u16> {
        (name == "telnet").then_some(23)
    }
}

fuzz_target!(|input: &[u8]| {
    let zero = input.iter().position(|byte| *byte == 0);
    let (text, more) = match zero {
        Some(zero) => (&input[..zero], &input[zero + 1..]),
        None => (input, &b""[..]),
    };
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let name = String::from_utf8_lossy(more);
    if let Ok(server) = name.parse::<Server>() {
        assert_eq!(
            server.to_string().parse::<Server>().unwrap().host,
            server.host
        );
    }
    match Routes::parse(text, Path::new("conf"), &Files(more)) {
        Ok(routes) => ask(&routes.with_commands(), lines(text), &name),
        Err(error) if error.file == Path::new("conf") => {
            assert!((1..=lines(text)).contains(&error.line));
        }
        Err(error) => assert!((1..=lines(more)).contains(&error.line)),
    }
});

fn ask(routes: &Routes, lines: usize, name: &str) {
    let (v4, v6) = (
        IpAddr::from([10, 1, 2, 3]),
        IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, 3]),
    );
    let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xa01, 0x203]);
    let user = User {
        uid: 1000,
        name: Some("amy"),
    };
    for port in [0, 23, 44321, 65535] {
        let ask = |address, name| {
            let decision = routes.decide(&Asked {
                address,
                name,
                port,
                user,
                is_local: &|address| address == v6,
            });
            assert!(decision.line.is_none_or(|line| (1..=lines).contains(&line)));
            decision
        };
        assert_eq!(ask(Some(v4), None), ask(Some(mapped), None));
        ask(Some(v6), Some(name));
        let unknown = ask(None, Some(name));
        if matches!(unknown.action, Action::Sockd(_)) {
            assert_eq!(routes.decide_name(name, &user), NameDecision::Sockd);
        }
        if let Some(command) = unknown.command {
            expand(command, name, user);
        }
    }
}

/// The same command with a name that means much to a shell and with one that is inert in the same
/// way: the shell must not see the difference.
fn expand(command: &socks_conf::Command, name: &str, user: User<'_>) {
    let facts = Facts {
        client_name: "inside",
        client_address: None,
        pid: 1,
        port: 23,
        service: None,
        login: "amy",
        user,
        name: Some(name),
        address: None,
    };
    let inert: String = name
        .char_indices()
        .map(|(at, letter)| match letter {
            '-' if at == 0 => '_',
            letter if letter.is_ascii_alphanumeric() || "._:-".contains(letter) => letter,
            _ => '_',
        })
        .collect();
    let same = Facts {
        name: Some(if inert.is_empty() { "_" } else { &inert }),
        ..facts
    };
    assert_eq!(command.expand(&facts), command.expand(&same));
}
