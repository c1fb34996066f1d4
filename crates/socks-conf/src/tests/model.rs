//! Random configurations: reading never panics, and the decisions are those of a naive reading.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use proptest::prelude::*;

use super::{Fixture, ROOT};
use crate::{Action, Asked, NameDecision, Routes, User};

/// What a line says, kept apart from how the crate reads it.
#[derive(Clone, Debug)]
struct Line {
    action: &'static str,
    uid: Option<u32>,
    to: To,
    port: Option<(&'static str, u16)>,
}

#[derive(Clone, Debug)]
enum To {
    Everywhere,
    V4(Ipv4Addr, u32),
    V6(Ipv6Addr, u32),
    ThisHost,
    Host(&'static str),
    Below(&'static str),
}

impl Line {
    fn text(&self) -> String {
        let mut text = self.action.to_owned();
        if let Some(uid) = self.uid {
            let _ = write!(text, " *={uid}");
        }
        let _ = match &self.to {
            To::Everywhere => write!(text, " 0.0.0.0 0.0.0.0"),
            To::V4(address, bits) => write!(text, " {address}/{bits}"),
            To::V6(address, bits) => write!(text, " {address}/{bits}"),
            To::ThisHost => write!(text, " LOCALHOSTNAME"),
            To::Host(name) => write!(text, " {name}"),
            To::Below(name) => write!(text, " .{name}"),
        };
        if let Some((operator, port)) = self.port {
            let _ = write!(text, " {operator} {port}");
        }
        text
    }

    fn matches(&self, asked: &Asked<'_>) -> bool {
        self.uid.is_none_or(|uid| uid == asked.user.uid)
            && self.to.matches(asked)
            && self.port.is_none_or(|(operator, port)| match operator {
                "eq" => asked.port == port,
                "neq" => asked.port != port,
                "lt" => asked.port < port,
                "gt" => asked.port > port,
                "le" => asked.port <= port,
                _ => asked.port >= port,
            })
    }
}

impl To {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        match (self, asked.address) {
            (To::Everywhere, _) => true,
            (To::V4(net, bits), Some(IpAddr::V4(address))) => {
                same_bits(&net.octets(), &address.octets(), *bits)
            }
            (To::V6(net, bits), Some(IpAddr::V6(address))) => {
                same_bits(&net.octets(), &address.octets(), *bits)
            }
            (To::V4(_, bits) | To::V6(_, bits), None) => *bits == 0,
            (To::V4(..) | To::V6(..), Some(_)) => false,
            (To::ThisHost, address) => address.is_some_and(|address| (asked.is_local)(address)),
            (To::Host(name), _) => asked.name == Some(name),
            (To::Below(name), _) => asked.name.is_some_and(|asked| {
                asked
                    .strip_suffix(name)
                    .is_some_and(|before| before.len() > 1 && before.ends_with('.'))
            }),
        }
    }
}

/// Bit by bit.
fn same_bits(a: &[u8], b: &[u8], count: u32) -> bool {
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    (0..count as usize).all(|at| bit(a, at) == bit(b, at))
}

/// Few values, so that lines and questions meet.
const NAMES: [&str; 4] = ["a.test", "b.a.test", "c.test", "test"];
const PORTS: [u16; 5] = [0, 1, 23, 44321, 65535];

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    (0..4_u8, 0..3_u8).prop_map(|(b, d)| Ipv4Addr::new(10, b, 0, d))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    (0..4_u16, 0..3_u16).prop_map(|(b, h)| Ipv6Addr::new(0x2001, b, 0, 0, 0, 0, 0, h))
}

fn any_line() -> impl Strategy<Value = Line> {
    let to = prop_oneof![
        Just(To::Everywhere),
        (v4(), 0..=32_u32).prop_map(|(address, bits)| To::V4(address, bits)),
        (v6(), 0..=128_u32).prop_map(|(address, bits)| To::V6(address, bits)),
        Just(To::ThisHost),
        prop::sample::select(&NAMES[..]).prop_map(To::Host),
        prop::sample::select(&NAMES[..]).prop_map(To::Below),
    ];
    let operator = prop::sample::select(&["eq", "neq", "lt", "gt", "le", "ge"][..]);
    let port = prop::option::of((operator, prop::sample::select(&PORTS[..])));
    let action = prop::sample::select(&["deny", "direct", "sockd"][..]);
    (action, prop::option::weighted(0.3, 0..2_u32), to, port).prop_map(|(action, uid, to, port)| {
        Line {
            action,
            uid,
            to,
            port,
        }
    })
}

fn read(lines: &[Line]) -> Routes {
    let text: Vec<String> = lines.iter().map(Line::text).collect();
    super::routes(&text.join("\n"))
}

fn keyword(action: &Action<'_>) -> &'static str {
    match action {
        Action::Deny => "deny",
        Action::Direct => "direct",
        Action::Sockd(_) => "sockd",
    }
}

proptest! {
    #[test]
    fn reading_never_panics(text in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Routes::parse(&text, Path::new("f"), &Fixture::default());
    }

    #[test]
    fn reading_words_of_the_syntax_never_panics(
        words in prop::collection::vec(
            prop::sample::select(&[
                "deny", "direct", "sockd", "@=", "@=fw:1;version=4a", "*=", "*=a,1", "*=/x", "10.0.0.0",
                "0.0.0.0", "255.0.0.0", "::", "::1/64", "10.0.0.0/8", "/", "LOCALHOSTNAME", ".a.b", "eq",
                "neq", "telnet", "65536", ":", ": %z", "%", "#", "\n", "\r\n", "\0",
            ][..]),
            0..40,
        ),
    ) {
        let text = words.join(" ");
        if let Err(error) = Routes::parse(text.as_bytes(), Path::new("f"), &Fixture::default()) {
            prop_assert!((1..=text.matches('\n').count() + 1).contains(&error.line));
        }
    }

    #[test]
    fn decisions_are_those_of_a_naive_reading(
        lines in prop::collection::vec(any_line(), 0..12),
        address in prop::option::of(prop_oneof![
            v4().prop_map(IpAddr::V4),
            v6().prop_map(IpAddr::V6),
        ]),
        name in prop::option::of(prop::sample::select(&NAMES[..])),
        port in prop::sample::select(&PORTS[..]),
        uid in 0..3_u32,
    ) {
        let asked = Asked {
            address,
            name,
            port,
            user: User { uid, name: None },
            is_local: &|address| address == IpAddr::from([10, 1, 0, 1]),
        };
        let expected = lines.iter().enumerate().find(|(_, line)| line.matches(&asked));
        let routes = read(&lines);
        let decision = routes.decide(&asked);
        prop_assert_eq!(decision.line, expected.map(|(before, _)| before + 1));
        prop_assert_eq!(keyword(&decision.action), expected.map_or("deny", |(_, line)| line.action));
    }

    #[test]
    fn a_name_is_denied_or_sent_direct_only_if_no_port_gets_more(
        lines in prop::collection::vec(any_line(), 0..12),
        name in prop::sample::select(&NAMES[..]),
    ) {
        let routes = read(&lines);
        let most = routes.decide_name(name, &ROOT);
        for port in [PORTS.as_slice(), &[2, 22, 24, 65534]].concat() {
            let asked = Asked { port, ..super::to_name(name) };
            let this = match routes.decide(&asked).action {
                Action::Deny => NameDecision::Deny,
                Action::Direct => NameDecision::Direct,
                Action::Sockd(_) => NameDecision::Sockd,
            };
            prop_assert!(this <= most, "port {}: {:?} beyond {:?}", port, this, most);
        }
    }
}
