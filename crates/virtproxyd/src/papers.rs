//! What is written about the program: the manual page, the usage and the default configuration must
//! be true.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, key_names};
use crate::options::{Options, USAGE, VERSION};
use crate::paths::{Mode, Paths};

const MANUAL: &str = include_str!("../../../dist/man/virtproxyd.8");
const CONFIGURATION: &str = include_str!("../../../dist/virtproxyd/virtproxyd.conf");

const SERVICE: &str = include_str!("../../../dist/systemd/virtproxyd.service");

/// The socket units by the names under which systemd hands their sockets over.
const SOCKETS: [(&str, &str); 5] = [
    (
        "virtproxyd.socket",
        include_str!("../../../dist/systemd/virtproxyd.socket"),
    ),
    (
        "virtproxyd-ro.socket",
        include_str!("../../../dist/systemd/virtproxyd-ro.socket"),
    ),
    (
        "virtproxyd-admin.socket",
        include_str!("../../../dist/systemd/virtproxyd-admin.socket"),
    ),
    (
        "virtproxyd-tcp.socket",
        include_str!("../../../dist/systemd/virtproxyd-tcp.socket"),
    ),
    (
        "virtproxyd-tls.socket",
        include_str!("../../../dist/systemd/virtproxyd-tls.socket"),
    ),
];

/// Settings of which the default configuration shows an example, since they have no default, or
/// none that could be written.
const EXAMPLES: [&str; 16] = [
    "ca_file",
    "cert_file",
    "cert_files",
    "crl_file",
    "daemon_sock_dir",
    "daemon_sockets",
    "key_file",
    "key_files",
    "listen_addr",
    "log_filters",
    "log_level",
    "log_outputs",
    "sasl_allowed_username_list",
    "tls_allowed_dn_list",
    "tls_priority",
    "uri_access",
];

/// Likewise, where the value depends on others or on the host.
const SPECIAL: [&str; 3] = ["tcp_min_ssf", "unix_sock_dir", "unix_sock_group"];

fn read(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("virtproxyd.conf");
    // Not every host has the group.
    std::fs::write(&path, text.replace("\"libvirt\"", "\"+0\"")).unwrap();
    let config = Config::read(&path, Mode::System).unwrap();
    Config {
        remarks: Vec::new(),
        ..config
    }
}

/// The lines of the default configuration, with those settings in force that are `wanted`.
fn in_force(wanted: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let mut on = false;
    for line in CONFIGURATION.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        match bare.split_once(" = ") {
            Some((key, _)) if !key.contains(' ') => on = wanted(key),
            // Lists go on with more blanks than sentences begin with.
            _ if bare.starts_with("  ") || bare.starts_with(']') => {}
            _ => on = false,
        }
        text.push_str(if on { bare } else { line });
        text.push('\n');
    }
    text
}

#[test]
fn the_default_configuration_changes_nothing() {
    assert_eq!(read(CONFIGURATION), Config::default());
    assert!(
        CONFIGURATION
            .lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
}

#[test]
fn the_default_configuration_has_every_setting_once() {
    let found = CONFIGURATION.lines().filter_map(|line| {
        let (key, _) = line.strip_prefix('#')?.split_once(" = ")?;
        (!key.contains(' ')).then_some(key)
    });
    let mut found: Vec<&str> = found.collect();
    found.sort_unstable();
    let mut known: Vec<&str> = key_names().collect();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn every_setting_of_the_default_configuration_can_be_put_in_force() {
    let singles = in_force(|key| !["key_files", "cert_files"].contains(&key));
    let lists = in_force(|key| !["key_file", "cert_file"].contains(&key));
    assert_eq!(read(&singles), read(&lists));
    assert_eq!(read(&singles).uri_access.len(), 3);
}

#[test]
fn the_default_configuration_tells_the_defaults() {
    for key in key_names() {
        if EXAMPLES.contains(&key) || SPECIAL.contains(&key) {
            continue;
        }
        assert_eq!(
            read(&in_force(|other| other == key)),
            Config::default(),
            "{key}"
        );
    }
}

/// The words of the items of the manual page behind this macro.
fn items(kind: &str) -> BTreeSet<&'static str> {
    let lines = MANUAL.lines().filter_map(|line| line.strip_prefix(".It "));
    lines
        .flat_map(|line| line.split(" , "))
        .filter_map(|item| item.strip_prefix(kind)?.split_whitespace().next())
        .collect()
}

#[test]
fn the_usage_and_the_manual_page_have_the_same_options() {
    let words = USAGE.split([' ', '\n', ',']);
    let options = words.filter_map(|word| word.strip_prefix('-'));
    let usage: BTreeSet<&str> = options.filter(|name| !name.is_empty()).collect();
    assert!(
        usage.contains("t") && usage.contains("-timeout"),
        "{usage:?}"
    );
    assert_eq!(items("Fl "), usage);
    for option in usage {
        let words = [format!("-{option}"), "1".into()];
        let wants_value = ["f", "p", "t", "-config", "-pid-file", "-timeout"].contains(&option);
        let taken = if wants_value { 2 } else { 1 };
        assert!(Options::parse(&words[..taken]).is_ok(), "{option}");
    }
    assert!(MANUAL.contains(VERSION), "{VERSION}");
}

#[test]
fn the_manual_page_has_every_setting() {
    let rules = ["read-only", "from", "to"];
    let items = items("Cm ");
    let settings: BTreeSet<&str> = items
        .into_iter()
        .filter(|item| !rules.contains(item))
        .collect();
    assert_eq!(settings, key_names().collect());
}

#[test]
fn the_manual_page_has_every_variable() {
    let sources = concat!(
        include_str!("paths.rs"),
        include_str!("logging/environment.rs")
    );
    let strings = sources.split('"').skip(1).step_by(2);
    let is_variable = |text: &&str| {
        let word = |c: char| c.is_ascii_uppercase() || c == '_';
        text.len() > 1 && text.chars().all(word)
    };
    let variables: BTreeSet<&str> = strings.filter(is_variable).collect();
    assert!(
        variables.contains("HOME") && variables.len() >= 7,
        "{variables:?}"
    );
    assert_eq!(items("Ev "), variables);
}

#[test]
fn the_manual_page_has_every_file() {
    let files = items("Pa ");
    let variable = |name: &str| Some(format!("/${name}").into());
    let session = Paths::session(variable, || panic!("HOME is set")).unwrap();
    for paths in [Paths::system(), session] {
        let folder = format!("{:?}", paths.run);
        let all = format!("{paths:?} {:?}", paths.sockets(None)).replace(&folder, "");
        let quoted = all.split('"').skip(1).step_by(2);
        let named: BTreeSet<&str> = quoted.collect();
        assert!(named.len() >= 9, "{named:?}");
        for path in named {
            // Those with a variable were made absolute above.
            let path = path
                .strip_prefix("/$")
                .map_or(path.into(), |rest| format!("${rest}"));
            assert!(files.contains(path.as_str()), "{path}");
        }
    }
}

/// The only value of a key in a unit.
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {key}"));
    assert_eq!(values.next(), None, "{key}");
    value
}

#[test]
fn the_socket_units_open_what_virtproxyd_would() {
    let sockets = Paths::system().sockets(None);
    let config = Config::default();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (listening, limits) = (&config.listening, &config.limits);
    let expected = [
        (path(&sockets.rw), limits.queued_clients),
        (path(&sockets.ro.unwrap()), limits.queued_clients),
        (path(&sockets.admin), limits.admin_queued_clients),
        (listening.tcp_port.to_string(), limits.queued_clients),
        (listening.tls_port.to_string(), limits.queued_clients),
    ];
    for ((name, unit), (place, queue)) in SOCKETS.into_iter().zip(expected) {
        assert_eq!(value(unit, "ListenStream"), place, "{name}");
        assert_eq!(value(unit, "Backlog"), queue.to_string(), "{name}");
        assert_eq!(value(unit, "Service"), "virtproxyd.service", "{name}");
        assert!(SERVICE.contains(name) && MANUAL.contains(name), "{name}");
    }
}

#[test]
fn the_service_has_options_that_are_known() {
    let arguments = value(SERVICE, "Environment").trim_end_matches('"');
    let (_, arguments) = arguments.split_once("VIRTPROXYD_ARGS=\"").unwrap();
    let options = Options::parse(arguments.split(' ')).unwrap();
    assert!(options.timeout.is_some());
    let start = value(SERVICE, "ExecStart");
    assert_eq!(start, "/usr/sbin/virtproxyd $VIRTPROXYD_ARGS");
}
