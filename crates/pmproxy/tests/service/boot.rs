//! A pmproxy that is started at boot: its files of options and of variables, and the time that it is
//! given.

use std::fs;

use nix::sys::signal::Signal;
use testbed::{Client, Stub, packages};

use crate::home::{Home, answers, session};

const OPTIONS: &str = include_str!("../../../../dist/pmproxy/pmproxy.options");
const SYSCONFIG: &str = include_str!("../../../../dist/sysconfig/pmproxy");

#[test]
fn options_come_from_lines_that_begin_with_a_hyphen_and_the_starter_decides_how_it_runs() {
    let home = Home::new().unwrap();
    let text = format!(
        "# comment\nno option\n-i {}\n-f\n-l 'my log'\n",
        home.address().ip()
    );
    home.write("options", &text).unwrap();
    let port = home.address().port().to_string();
    let start = home.pmproxy(["-p", &port, "--options-file=options"]);
    start.ends().unwrap().succeeded().unwrap();
    let daemon = home.daemon("pmproxy.pid").unwrap();
    assert!(answers(home.address()));
    assert!(home.read("my log").starts_with("Log for pmproxy"));
    daemon.terminate().unwrap();
}

#[test]
fn variables_come_from_a_file_and_win_over_the_environment() {
    let home = Home::new().unwrap();
    home.write(
        "variables",
        "# PMPROXY_LOCAL=0\nPATH=/nowhere\nPMPROXY_SOCKET='by file' # here\n",
    )
    .unwrap();
    let start = home.foreground().add(["--environment-file=variables"]);
    let guest = start.env("PMPROXY_SOCKET", "by-environment").up().unwrap();
    assert_eq!(
        guest.ports()[0],
        format!("ok unix {}", home.join("by file").display())
    );
    guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    // It may be missing, as a machine need not have one.
    let start = home.foreground().add(["--environment-file", "missing"]);
    start.up().unwrap();
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_place_and_without_the_usage() {
    let home = Home::new().unwrap();
    home.write("options", "-A\n-p 70000\n").unwrap();
    home.write("quotes", "-l 'open\n").unwrap();
    home.write("variables", "\nPMPROXY_LOCAL : 1\n").unwrap();
    for (option, expected) in [
        ("--options-file=options", "options:2: -p \"70000\": "),
        ("--options-file=quotes", "quotes:1: a quote is not closed"),
        (
            "--options-file=missing",
            "cannot read missing: No such file or directory",
        ),
    ] {
        let ended = home.foreground().add([option]).ends().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        let expected = format!("pmproxy: {expected}");
        assert!(
            ended.stderr.starts_with(&expected) && !ended.stderr.contains("Usage"),
            "{ended}"
        );
    }
    let error = home
        .foreground()
        .add(["--environment-file=variables"])
        .fails()
        .unwrap();
    let expected = "variables:2: expected PMPROXY_NAME=value, found \"PMPROXY_LOCAL\"";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn the_default_variables_are_accepted_as_they_are_and_with_every_one_in_force() {
    let home = Home::new().unwrap();
    let in_force = SYSCONFIG
        .replace("# PMPROXY_", "PMPROXY_")
        .replace("=44399", &format!("={}", home.address().port()))
        .replace("/run/pcp", home.join("").to_str().unwrap());
    for text in [SYSCONFIG, &in_force] {
        home.write("variables", text).unwrap();
        let start = home.foreground().add(["--environment-file=variables"]);
        let guest = start.up().unwrap();
        let local = guest
            .ports()
            .iter()
            .any(|row| row.ends_with("INADDR_LOOPBACK"));
        assert_eq!(local, text == in_force, "{:?}", guest.ports());
        guest.ends_on(Signal::SIGTERM).unwrap().succeeded().unwrap();
    }
}

#[test]
fn it_ends_by_itself_when_its_time_is_over() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    let guest = home.foreground().add(["-T", "4 sec"]).up().unwrap();
    let _session = session(home.address(), &pmcd).unwrap();
    guest.finish().unwrap().succeeded().unwrap();
    let log = home.read("pmproxy.log");
    assert!(log.contains("Info: the time of -T is over\n"), "{log}");
    assert!(log.contains("pmproxy Shutdown\n\nLog finished "), "{log}");
    assert!(!fs::exists(home.join("pmproxy.socket")).unwrap());
}

#[test]
fn systemd_takes_the_units_and_the_service_starts_pmproxy_with_options_that_it_knows() {
    packages::require("systemd").unwrap();
    let unit = |name: &str| format!("{}/../../dist/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
    let units = ["pmproxy.service", "pmproxy.socket"].map(unit);
    let verified = Client::new("systemd-analyze").args(["verify"]).args(&units);
    let verified = verified.run().unwrap();
    assert!(
        verified.status.success() && !verified.stderr.contains("pmproxy"),
        "{verified}"
    );

    let home = Home::new().unwrap();
    home.write("options", OPTIONS).unwrap();
    home.write("variables", SYSCONFIG).unwrap();
    let service = fs::read_to_string(&units[0]).unwrap();
    let command = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let words: Vec<String> = command
        .split(' ')
        .skip(1)
        .map(|word| word.replace("/etc/pcp/pmproxy/pmproxy.options", "options"))
        .map(|word| word.replace("/etc/default/pmproxy", "variables"))
        .collect();
    let guest = home.pmproxy(words).add(home.here()).up().unwrap();
    assert_eq!(home.read("pmproxy.pid"), format!("{}\n", guest.pid));
}
