//! `: shell_cmd` and its substitutions.

use std::net::IpAddr;

use proptest::prelude::*;

use super::{routes, to};
use crate::{Facts, User};

fn facts() -> Facts<'static> {
    Facts {
        client_name: "inside.example",
        client_address: Some(IpAddr::from([10, 1, 0, 2])),
        pid: 4711,
        port: 44321,
        service: Some("pmcd"),
        login: "amy",
        user: User {
            uid: 1000,
            name: Some("bob"),
        },
        name: Some("outside.example"),
        address: Some("2001:db8::9".parse().unwrap()),
    }
}

fn expand(command: &str, facts: &Facts<'_>) -> String {
    let routes = routes(&format!("sockd 0.0.0.0 0.0.0.0 : {command}")).with_commands();
    let decision = routes.decide(&to("192.0.2.1"));
    decision.command.expect("no command").expand(facts)
}

#[test]
fn a_command_is_all_behind_the_colon() {
    for (line, command) in [
        (
            "deny 10.0.0.0/8 : echo # no comment : here",
            "echo # no comment : here",
        ),
        ("deny 10.0.0.0/8 eq 23 :echo no", "echo no"),
        ("deny ::/0 : ::x", "::x"),
        ("deny 0.0.0.0 0.0.0.0\t:\t\"a  b\" \t", "\"a  b\""),
    ] {
        let routes = routes(line).with_commands();
        let found = routes.lines[0]
            .command
            .as_ref()
            .map(|command| command.expand(&facts()));
        assert_eq!(found.as_deref(), Some(command), "{line}");
    }
}

#[test]
fn every_substitution_is_filled_in() {
    let text = "x %A %a %c %p %S %s %U %u %Z %z %% 100%%s";
    let expected = "x inside.example 10.1.0.2 connect 4711 pmcd 44321 amy bob outside.example \
                    2001:db8::9 % 100%s";
    assert_eq!(expand(text, &facts()), expected);
}

#[test]
fn what_is_not_known_is_replaced_by_the_next_best() {
    let unknown = Facts {
        client_address: None,
        service: None,
        login: "",
        user: User {
            uid: 1000,
            name: None,
        },
        ..facts()
    };
    assert_eq!(
        expand("%a %S %U %u", &unknown),
        "inside.example 44321 _ 1000"
    );
    let no_name = Facts {
        name: None,
        ..facts()
    };
    assert_eq!(expand("%Z %z", &no_name), "2001:db8::9 2001:db8::9");
    let no_address = Facts {
        address: None,
        ..facts()
    };
    assert_eq!(
        expand("%Z %z", &no_address),
        "outside.example outside.example"
    );
    let neither = Facts {
        name: None,
        ..no_address
    };
    assert_eq!(expand("%Z %z", &neither), "_ _");
}

#[test]
fn values_mean_nothing_to_a_shell() {
    for (name, inert) in [
        ("$(reboot)", "__reboot_"),
        ("a;b|c&d", "a_b_c_d"),
        ("'\"`\\", "____"),
        ("-rf", "_rf"),
        ("a-b_c.d:e", "a-b_c.d:e"),
        ("a b\nc", "a_b_c"),
        ("*?~!#", "_____"),
        ("é", "_"),
        ("%u", "_u"),
    ] {
        let facts = Facts {
            name: Some(name),
            login: name,
            client_name: name,
            service: Some(name),
            ..facts()
        };
        let expected = format!("{inert} {inert} {inert} {inert}");
        assert_eq!(expand("%Z %U %A %S", &facts), expected);
    }
}

#[test]
fn commands_are_off_until_they_are_trusted() {
    let routes = routes("deny 0.0.0.0 0.0.0.0 : true");
    assert_eq!(routes.decide(&to("192.0.2.1")).command, None);
    let why = routes.commands_off().expect("commands are on").to_string();
    assert_eq!(why, "it is not known who can write the configuration");
    let trusted = routes.with_commands();
    assert_eq!(trusted.commands_off(), None);
    assert!(trusted.decide(&to("192.0.2.1")).command.is_some());
    assert_eq!(super::routes("deny 0.0.0.0 0.0.0.0").commands_off(), None);
}

proptest! {
    #[test]
    fn whatever_a_name_holds_a_shell_reads_one_plain_word(name in any::<String>()) {
        let text = expand("%Z", &Facts { name: Some(&name), ..facts() });
        prop_assert!(!text.is_empty() && !text.starts_with('-'));
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)));
    }
}
