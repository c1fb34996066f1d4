//! Destinations by name, and names whose address nobody here knows.

use super::{ROOT, matches, routes, to, to_name};
use crate::{Asked, NameDecision, User};

fn named(text: &str, name: &str) -> bool {
    routes(text).decide(&to_name(name)).line.is_some()
}

#[test]
fn a_name_matches_the_name_that_the_program_asked_for() {
    for text in [
        "direct Pmcd.example.COM",
        "direct pmcd.example.com.",
        "direct pmcd.example.com 255.255.255.255",
        "direct pmcd.example.com/32",
        "direct pmcd.example.com/128 eq 44321",
    ] {
        for name in ["pmcd.example.com", "PMCD.example.com", "pmcd.example.com."] {
            assert!(named(text, name), "{text}: {name}");
        }
        for name in ["example.com", "xpmcd.example.com", "a.pmcd.example.com", ""] {
            assert!(!named(text, name), "{text}: {name}");
        }
        assert!(!matches(text, "192.0.2.1"), "{text}");
    }
}

#[test]
fn a_leading_dot_means_everything_below() {
    for text in [
        "direct .example.com",
        "direct .Example.com. 255.255.255.255",
    ] {
        for name in ["a.example.com", "a.b.EXAMPLE.com."] {
            assert!(named(text, name), "{text}: {name}");
        }
        for name in [
            "example.com",
            ".example.com",
            "badexample.com",
            "com",
            "",
            "é.com",
        ] {
            assert!(!named(text, name), "{text}: {name}");
        }
    }
}

#[test]
fn a_name_counts_also_where_its_address_is_known() {
    let routes = routes("direct .example.com\nsockd 0.0.0.0 0.0.0.0");
    let asked = Asked {
        name: Some("a.example.com"),
        ..to("192.0.2.1")
    };
    assert_eq!(routes.decide(&asked).line, Some(1));
    assert_eq!(routes.decide(&to("192.0.2.1")).line, Some(2));
}

#[test]
fn an_unknown_name_matches_only_itself_and_everything() {
    for text in [
        "sockd 0.0.0.0 0.0.0.0",
        "sockd 0.0.0.0/0",
        "sockd ::/0",
        "sockd :: ::",
    ] {
        assert!(named(text, "a.example.com"), "{text}");
    }
    for text in [
        "sockd 10.0.0.0 255.0.0.0",
        "sockd 0.0.0.0/1",
        "sockd ::/1",
        "sockd LOCALHOSTNAME",
        "sockd b.example.com",
    ] {
        assert!(!named(text, "a.example.com"), "{text}");
    }
}

#[test]
fn names_are_needed_by_name_lines_and_by_commands_that_are_on() {
    assert!(!routes("sockd 0.0.0.0 0.0.0.0 : log %z").has_names());
    assert!(!routes("direct LOCALHOSTNAME").has_names());
    assert!(routes("direct a.example").has_names());
    assert!(routes("direct .example").has_names());
    let told = routes("direct 10.0.0.0/8 : log %Z");
    assert!(!told.has_names());
    assert!(told.with_commands().has_names());
}

#[test]
fn an_unknown_name_goes_to_sockd_where_some_port_may() {
    for (text, expected) in [
        ("", NameDecision::Deny),
        ("sockd 10.0.0.0/8", NameDecision::Deny),
        ("sockd 0.0.0.0 0.0.0.0", NameDecision::Sockd),
        (
            "deny 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0",
            NameDecision::Deny,
        ),
        (
            "direct .example\nsockd 0.0.0.0 0.0.0.0",
            NameDecision::Direct,
        ),
        ("direct .other\nsockd 0.0.0.0 0.0.0.0", NameDecision::Sockd),
        (
            "sockd a.example\ndirect 0.0.0.0 0.0.0.0",
            NameDecision::Sockd,
        ),
        (
            "direct .example eq 1\nsockd 0.0.0.0 0.0.0.0",
            NameDecision::Sockd,
        ),
        (
            "direct .example ge 0\nsockd 0.0.0.0 0.0.0.0",
            NameDecision::Direct,
        ),
        (
            "sockd .example eq 1\ndirect 0.0.0.0 0.0.0.0",
            NameDecision::Sockd,
        ),
        (
            "sockd .example lt 0\ndirect 0.0.0.0 0.0.0.0",
            NameDecision::Direct,
        ),
        (
            "direct .example neq 1\ndeny 0.0.0.0 0.0.0.0",
            NameDecision::Direct,
        ),
        (
            "sockd *=amy .example\ndirect 0.0.0.0 0.0.0.0",
            NameDecision::Direct,
        ),
        (
            "sockd *=root .example\ndirect 0.0.0.0 0.0.0.0",
            NameDecision::Sockd,
        ),
    ] {
        assert_eq!(
            routes(text).decide_name("A.example.", &ROOT),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_a_name_gets_depends_on_the_user() {
    let routes = routes("sockd *=1000 0.0.0.0 0.0.0.0");
    let ask = |uid| routes.decide_name("a.example", &User { uid, name: None });
    assert_eq!(ask(1000), NameDecision::Sockd);
    assert_eq!(ask(1001), NameDecision::Deny);
}
