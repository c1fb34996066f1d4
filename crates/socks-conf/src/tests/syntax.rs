//! Every kind of line that is accepted.

use super::{Fixture, by, line, matches, routes, routes_with, to};
use crate::{Action, Asked, Server};

#[test]
fn the_first_matching_line_decides() {
    let routes = routes(
        "deny   10.1.0.9 255.255.255.255\n\
         direct 10.1.0.0 255.255.0.0\n\
         deny   10.1.0.8 255.255.255.255\n\
         sockd  0.0.0.0  0.0.0.0\n",
    );
    assert_eq!(routes.decide(&to("10.1.0.9")).action, Action::Deny);
    assert_eq!(routes.decide(&to("10.1.0.8")).action, Action::Direct);
    assert_eq!(routes.decide(&to("10.2.0.8")).action, Action::Sockd(&[]));
    assert_eq!(line(&routes, "10.1.0.9"), Some(1));
    assert_eq!(line(&routes, "10.1.0.8"), Some(2));
    assert_eq!(line(&routes, "10.2.0.8"), Some(4));
}

#[test]
fn a_connection_that_no_line_matches_is_denied() {
    let none = routes("direct 10.0.0.0 255.0.0.0");
    let decision = none.decide(&to("192.0.2.1"));
    assert_eq!((decision.line, decision.action), (None, Action::Deny));
    assert_eq!(routes("").decide(&to("192.0.2.1")).line, None);
}

#[test]
fn comments_and_blank_lines_count_as_lines_and_do_nothing() {
    let routes = routes(
        "# all of it\n\n \t \n   # indented\n\
         direct 10.0.0.0 255.0.0.0 # ours: 10/8\n\
         sockd 0.0.0.0 0.0.0.0 eq 23 #telnet\n",
    );
    assert_eq!(line(&routes, "10.1.1.1"), Some(5));
    assert_eq!(line(&routes, "11.1.1.1"), None);
}

#[test]
fn a_comment_need_not_be_text() {
    let text = b"# caf\xe9\ndirect 10.0.0.0 255.0.0.0 # caf\xe9\n";
    let routes = crate::Routes::parse(text, "f".as_ref(), &crate::NoLookup).unwrap();
    assert_eq!(line(&routes, "10.1.1.1"), Some(2));
}

#[test]
fn lines_may_end_as_on_other_systems_and_the_last_not_at_all() {
    let routes = routes("direct 10.0.0.0 255.0.0.0\r\n\r\nsockd\t0.0.0.0\t \t0.0.0.0");
    assert_eq!(line(&routes, "10.1.1.1"), Some(1));
    assert_eq!(line(&routes, "11.1.1.1"), Some(3));
}

#[test]
fn keywords_may_be_in_any_case() {
    let routes = routes("DIRECT localHostName\nDeny 10.0.0.0/8 NEQ 1\nSOCKD 0.0.0.0 0.0.0.0");
    assert_eq!(line(&routes, "127.0.0.1"), Some(1));
    assert_eq!(line(&routes, "10.0.0.1"), Some(2));
    assert_eq!(line(&routes, "11.0.0.1"), Some(3));
}

#[test]
fn a_mask_says_which_bits_count_and_the_others_of_the_address_do_not() {
    assert!(matches("direct 10.1.2.3 255.255.0.0", "10.1.99.99"));
    assert!(!matches("direct 10.1.2.3 255.255.0.0", "10.2.2.3"));
    assert!(matches("direct 10.1.2.3 255.0.0.255", "10.77.77.3"));
    assert!(!matches("direct 10.1.2.3 255.0.0.255", "10.77.77.4"));
    assert!(matches("direct 10.1.2.3/15", "10.0.0.1"));
    assert!(!matches("direct 10.1.2.3/15", "10.2.0.1"));
    assert!(matches("direct 10.1.2.3/32", "10.1.2.3"));
    assert!(!matches("direct 10.1.2.3/32", "10.1.2.2"));
}

#[test]
fn ipv6_destinations_have_a_prefix_length_or_a_mask() {
    for text in [
        "direct 2001:db8:1::9/48",
        "direct 2001:db8:1::9 ffff:ffff:ffff::",
    ] {
        assert!(matches(text, "2001:db8:1:ffff::1"), "{text}");
        assert!(!matches(text, "2001:db8:2::1"), "{text}");
        assert!(!matches(text, "10.0.0.1"), "{text}");
    }
    assert!(matches("direct ::1/128", "::1"));
    assert!(matches("direct ::1 ::1", "::3"));
    assert!(!matches("direct ::1/128", "::2"));
}

#[test]
fn the_old_mask_of_zeros_means_everywhere_and_a_length_of_zero_one_family() {
    for (text, v4, v6) in [
        ("sockd 0.0.0.0 0.0.0.0", true, true),
        ("sockd 1.2.3.4 0.0.0.0", true, true),
        ("sockd 0.0.0.0/0", true, false),
        ("sockd ::/0", false, true),
        ("sockd :: ::", false, true),
        ("sockd ::ffff:0.0.0.0/96", true, false),
    ] {
        assert_eq!(matches(text, "192.0.2.1"), v4, "{text}");
        assert_eq!(matches(text, "2001:db8::1"), v6, "{text}");
    }
}

#[test]
fn ipv4_written_as_ipv6_is_ipv4() {
    for text in [
        "direct ::ffff:10.1.0.0/112",
        "direct ::ffff:10.1.0.0 ffff:ffff:ffff:ffff:ffff:ffff:ffff:0",
        "direct 10.1.0.0/16",
    ] {
        assert!(matches(text, "10.1.2.3"), "{text}");
        assert!(matches(text, "::ffff:10.1.2.3"), "{text}");
        assert!(!matches(text, "::ffff:10.2.2.3"), "{text}");
        assert!(!matches(text, "::10.1.2.3"), "{text}");
    }
}

#[test]
fn localhostname_is_every_address_of_this_host() {
    let ours = super::addresses(&["10.1.0.2", "2001:db8::2"]);
    for text in [
        "direct LOCALHOSTNAME",
        "direct LOCALHOSTNAME 255.255.255.255",
    ] {
        let routes = routes(text);
        let is_ours = |address: &str| {
            let is_local = |address| ours.contains(&address);
            let is_local = &is_local;
            routes
                .decide(&Asked {
                    is_local,
                    ..to(address)
                })
                .line
                == Some(1)
        };
        for own in ["127.0.0.1", "127.9.9.9", "::1", "10.1.0.2", "2001:db8::2"] {
            assert!(is_ours(own), "{text}: {own}");
        }
        assert!(is_ours("::ffff:10.1.0.2") && is_ours("0.0.0.0") && is_ours("::"));
        assert!(!is_ours("10.1.0.3") && !is_ours("2001:db8::3"));
    }
}

#[test]
fn whether_an_address_is_this_hosts_is_asked_once_and_only_when_needed() {
    let routes = routes(
        "direct 10.0.0.0/8\ndirect LOCALHOSTNAME eq 1\nsockd LOCALHOSTNAME\ndeny LOCALHOSTNAME",
    );
    let calls = std::cell::Cell::new(0);
    let is_local = |_| {
        calls.set(calls.get() + 1);
        false
    };
    let asked = |address| {
        let is_local = &is_local;
        routes
            .decide(&Asked {
                is_local,
                ..to(address)
            })
            .line
    };
    assert_eq!((asked("10.1.1.1"), calls.get()), (Some(1), 0));
    assert_eq!((asked("127.0.0.1"), calls.get()), (Some(3), 0));
    assert_eq!((asked("192.0.2.1"), calls.get()), (None, 1));
}

#[test]
fn every_comparison_of_ports_is_known() {
    for (operator, matching, others) in [
        ("eq 100", &[100][..], &[0, 99, 101, 65535][..]),
        ("neq 100", &[0, 99, 101, 65535], &[100]),
        ("lt 100", &[0, 99], &[100, 101, 65535]),
        ("gt 100", &[101, 65535], &[0, 99, 100]),
        ("le 100", &[0, 100], &[101, 65535]),
        ("ge 100", &[100, 65535], &[0, 99]),
        ("lt 0", &[], &[0, 1, 65535]),
        ("gt 65535", &[], &[0, 1, 65535]),
        ("ge 0", &[0, 65535], &[]),
        ("eq telnet", &[23], &[22, 24]),
        ("GT pmcd", &[44322], &[44321]),
    ] {
        let routes = routes(&format!("direct 0.0.0.0 0.0.0.0 {operator}"));
        let line = |port: u16| {
            routes
                .decide(&Asked {
                    port,
                    ..to("192.0.2.1")
                })
                .line
        };
        assert!(
            matching.iter().all(|port| line(*port) == Some(1)),
            "{operator}"
        );
        assert!(
            others.iter().all(|port| line(*port).is_none()),
            "{operator}"
        );
    }
}

#[test]
fn a_line_with_users_is_for_them_only() {
    let routes = routes("direct *=zoe,1007,bob,3,amy 0.0.0.0 0.0.0.0\nsockd 0.0.0.0 0.0.0.0");
    assert!(routes.has_users());
    for (uid, name) in [
        (1, Some("amy")),
        (2, Some("bob")),
        (2, Some("zoe")),
        (3, Some("dan")),
        (1007, None),
        (1007, Some("cy")),
    ] {
        assert_eq!(by(&routes, uid, name).line, Some(1), "{uid} {name:?}");
    }
    for (uid, name) in [
        (1, None),
        (2, Some("am")),
        (4, Some("Amy")),
        (7, Some("1007")),
    ] {
        assert_eq!(by(&routes, uid, name).line, Some(2), "{uid} {name:?}");
    }
}

#[test]
fn a_file_of_users_holds_names_and_comments() {
    let mut files = Fixture::default();
    files.0.insert(
        "/etc/users",
        b"# who may\namy, bob\tcy  1007 # not dan\n\n,,eve\r\n",
    );
    let text = "direct *=fay,/etc/users 0.0.0.0 0.0.0.0\ndirect *=/etc/users,/etc/users 0.0.0.0 0.0.0.0 eq 1";
    let routes = routes_with(text, &files);
    for name in ["amy", "bob", "cy", "eve", "fay"] {
        assert_eq!(by(&routes, 1, Some(name)).line, Some(1), "{name}");
    }
    assert_eq!(by(&routes, 1007, None).line, Some(1));
    for name in ["dan", "not", "who", "#"] {
        assert_eq!(by(&routes, 1, Some(name)).line, None, "{name}");
    }
}

#[test]
fn lists_of_servers_and_of_users_come_in_either_order() {
    let first: Server = "fw1".parse().unwrap();
    let second: Server = "fw2:1081".parse().unwrap();
    for lists in ["@=fw1,fw2:1081 *=root", "*=root @=fw1,fw2:1081"] {
        let routes = routes(&format!("sockd {lists} 0.0.0.0 0.0.0.0"));
        let decision = by(&routes, 0, Some("root"));
        assert_eq!(
            decision.action,
            Action::Sockd(&[first.clone(), second.clone()])
        );
        assert_eq!(by(&routes, 1, Some("amy")).line, None);
    }
}

#[test]
fn a_line_of_1024_characters_is_accepted() {
    let text = format!("sockd 0.0.0.0 0.0.0.0 # {}", "x".repeat(1000));
    assert_eq!(text.len(), 1024);
    assert!(matches(&text, "192.0.2.1"));
    assert!(matches(&format!("{text}\r\n"), "192.0.2.1"));
}
