//! What is written about the program: the manual page, the default configuration and the default
//! options must be true.

use std::collections::BTreeSet;

use testbed::Client;

use crate::home::Home;

const MANUAL: &str = include_str!("../../../../dist/man/pmproxy.1");
const CONFIGURATION: &str = include_str!("../../../../dist/pmproxy/pmproxy.conf");
const OPTIONS: &str = include_str!("../../../../dist/pmproxy/pmproxy.options");

/// Every setting of the section [pmproxy].
const SETTINGS: [&str; 11] = [
    "clients.max",
    "admin.socket",
    "admin.address",
    "counters.pdus",
    "mmv.enabled",
    "secure.enabled",
    "certificates",
    "private_key",
    "authority",
    "cipher_list",
    "cipher_suites",
];

/// The words of a text that are options.
fn options_in<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let is_option = |word: &&str| {
        let name = word.trim_start_matches('-');
        match word.len() - name.len() {
            1 => name.len() == 1,
            2 => name.len() > 1 && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            _ => false,
        }
    };
    words.filter(is_option).map(str::to_owned).collect()
}

/// The options that the manual page has an item for.
fn options_of_the_manual() -> BTreeSet<String> {
    let items = MANUAL.lines().filter(|line| line.starts_with(".It Fl"));
    let flags = items.flat_map(|item| item.split("Fl ").skip(1));
    let words: Vec<String> = flags
        .filter_map(|flag| flag.split_whitespace().next())
        .map(|flag| format!("-{}", flag.trim_start_matches("\\&")))
        .collect();
    options_in(words.iter().map(String::as_str))
}

#[test]
fn the_usage_and_the_manual_page_have_the_same_options() {
    let program = env!("CARGO_BIN_EXE_pmproxy");
    let usage = Client::new(program)
        .args(["-?"])
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let known = options_in(usage.split([' ', '\n', ',', '=']));
    assert!(known.contains("-p") && known.contains("--port") && known.contains("-?"));
    assert_eq!(options_of_the_manual(), known);
}

#[test]
fn the_manual_page_has_every_variable_and_setting() {
    let sources = concat!(
        include_str!("../../src/settings.rs"),
        include_str!("../../src/config.rs"),
        include_str!("../../src/certificates/sources.rs"),
        include_str!("../../src/certificates/tls_conf.rs"),
        include_str!("../../../pcp-env/src/conf.rs"),
        include_str!("../../../pcp-env/src/timeout.rs"),
        include_str!("../../../gate/src/lifecycle/activation.rs"),
        include_str!("../../../gate/src/lifecycle/manager.rs"),
    );
    let mut sought = BTreeSet::from(SETTINGS);
    // Tests in the sources come last, and may name any.
    let strings = sources.split('"').skip(1).step_by(2);
    let is_variable = |text: &&str| {
        let starts = ["PMPROXY_", "PMCD_", "PCP_", "NOTIFY_", "LISTEN_"];
        let word = |c: char| c.is_ascii_uppercase() || c == '_';
        starts
            .iter()
            .any(|start| text.starts_with(start) && text != start)
            && text.chars().all(word)
    };
    let is_setting = |text: &&str| {
        let name = |c: char| c.is_ascii_lowercase() || c == '-';
        text.starts_with("tls-") && text.chars().all(name)
    };
    sought.extend(strings.filter(|text| is_variable(text) || is_setting(text)));
    assert!(sought.contains("tls-verify-clients"), "{sought:?}");
    assert!(sought.contains("PMPROXY_MAXPENDING"), "{sought:?}");
    // Nothing that pmproxy does depends on these.
    for other in ["PCP_LOG_DIR", "PCP_VAR_DIR"] {
        sought.remove(other);
    }
    for name in sought {
        let is_item = |line: &str| {
            line.strip_prefix(".It Ev ")
                .or(line.strip_prefix(".It Cm "))
                == Some(name)
        };
        assert!(
            MANUAL.lines().any(is_item),
            "{name} is not in the manual page"
        );
    }
}

#[test]
fn the_manual_page_has_every_reason_for_which_clients_are_not_served() {
    let source = include_str!("../../src/counters.rs");
    let (_, list) = source.split_once("const ALL: ").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let mut reasons = list.split("Reason::").skip(1).peekable();
    assert!(reasons.peek().is_some());
    for reason in reasons {
        let reason = reason.trim_end().trim_end_matches(',');
        let is_told = |line: &str| line.split(' ').take(2).eq([".Cm", reason]);
        assert!(
            MANUAL.lines().any(is_told),
            "{reason} is not in the manual page"
        );
    }
}

#[test]
fn the_default_configuration_is_accepted_as_it_is_and_with_every_setting_in_force() {
    let home = Home::new().unwrap();
    let socket = home.join("admin.socket");
    let in_force: String = CONFIGURATION
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    for name in SETTINGS {
        assert!(
            in_force.contains(&format!("\n{name} =")),
            "{name} is missing"
        );
    }
    for text in [CONFIGURATION, &in_force] {
        home.write("default.conf", text).unwrap();
        let start = home.foreground().add(["-c", "default.conf"]);
        let guest = start.env("PMPROXY_ADMIN_SOCKET", &socket).up().unwrap();
        assert!(!guest.said().contains("default.conf"), "{}", guest.said());
    }
}

#[test]
fn the_default_options_are_options() {
    let mut options = Vec::new();
    for line in OPTIONS.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('-') {
            options.extend(line.split_whitespace());
        }
    }
    assert!(
        options.contains(&"-A") && options.contains(&"-p"),
        "{options:?}"
    );
    let program = env!("CARGO_BIN_EXE_pmproxy");
    let known = Client::new(program)
        .args(&options)
        .args(["-?"])
        .run()
        .unwrap();
    known.succeeded().unwrap();
}
