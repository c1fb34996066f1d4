//! How virtproxyd lives: pid file, signals, settings that change, the timeout.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use testbed::{PATIENCE, eventually, uri_unix, virsh};

use crate::home::{Home, Pair};

#[test]
fn sigterm_ends_it_well_and_leaves_nothing_behind() {
    let mut pair = Pair::start("", &[]).unwrap();
    pair.serves().unwrap();
    let pid = fs::read_to_string(pair.proxy.pid_file()).unwrap();
    assert_eq!(pid.trim(), pair.proxy.pid().to_string());
    let status = pair.proxy.terminate().unwrap();
    assert!(status.success(), "{status}");
    for path in [
        pair.proxy.pid_file(),
        pair.proxy.socket(),
        pair.proxy.socket_ro(),
        pair.proxy.admin_socket(),
    ] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn a_daemon_that_was_killed_is_replaced() {
    let mut pair = Pair::start("", &[]).unwrap();
    pair.proxy.kill();
    assert!(pair.proxy.socket().exists());
    pair.proxy.restart().unwrap();
    pair.serves().unwrap();
}

#[test]
fn permissions_and_group_of_the_sockets_are_as_configured() {
    use std::os::unix::fs::MetadataExt;
    let config = "unix_sock_group = \"daemon\"\nunix_sock_rw_perms = \"0770\"\n\
                  unix_sock_ro_perms = \"0774\"\nunix_sock_admin_perms = \"0700\"";
    let pair = Pair::start(config, &[]).unwrap();
    let group = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    let seen = |path: std::path::PathBuf| {
        let data = fs::metadata(path).unwrap();
        (data.permissions().mode() & 0o777, data.gid())
    };
    let gid = group.gid.as_raw();
    assert_eq!(seen(pair.proxy.socket()), (0o770, gid));
    assert_eq!(seen(pair.proxy.socket_ro()), (0o774, gid));
    assert_eq!(seen(pair.proxy.admin_socket()).0, 0o700);
}

#[test]
fn it_leaves_its_starter_once_it_serves() {
    let home = Home::new("").unwrap();
    let started = home.program().args(["-d"]).run().unwrap();
    assert!(started.status.success(), "{started}");
    UnixStream::connect(home.join("libvirt-sock")).unwrap();
    let pid: i32 = fs::read_to_string(home.join("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    eventually(PATIENCE, "its end", || !home.join("pid").exists()).unwrap();
}

#[test]
fn it_ends_after_a_time_without_clients_and_not_before() {
    let mut pair = Pair::start("", &["-t", "5"]).unwrap();
    let mut client = pair
        .client()
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    pair.proxy.await_log("opened test:///default").unwrap();
    let quiet = eventually(
        Duration::from_secs(7),
        "an end in spite of a client",
        || pair.proxy.ended().unwrap().is_some(),
    );
    assert!(quiet.is_err(), "it ended although a client was there");
    client.process().kill();
    let status = pair.proxy.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    pair.proxy.await_log("no clients").unwrap();
}

#[test]
fn a_broken_configuration_changes_nothing_and_says_why() {
    let mut pair = Pair::start("", &[]).unwrap();
    let mut client = pair
        .client()
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    pair.proxy.await_log("opened test:///default").unwrap();
    pair.proxy.reload("max_clients = nonsense").unwrap();
    pair.proxy.await_log("everything stays as it was").unwrap();
    assert!(
        pair.proxy.log().contains("virtproxyd.conf"),
        "{}",
        pair.proxy.log()
    );
    pair.serves().unwrap();
    assert!(
        client.process().ended().unwrap().is_none(),
        "a client was dropped"
    );

    let deny = "uri_access = [ \"deny from any\" ]";
    pair.proxy.reload(deny).unwrap();
    pair.proxy.await_log("the configuration is read").unwrap();
    let refused = pair.client().args(["list"]).run().unwrap();
    assert!(refused.stderr.contains("access denied"), "{refused}");
    assert!(
        client.process().ended().unwrap().is_none(),
        "a client was dropped"
    );
}

#[test]
fn the_log_is_opened_anew() {
    let mut pair = Pair::start("", &[]).unwrap();
    pair.serves().unwrap();
    let log = pair.proxy.folder().join("virtproxyd.log");
    let moved = pair.proxy.folder().join("virtproxyd.log.1");
    fs::rename(&log, &moved).unwrap();
    pair.proxy.signal(Signal::SIGHUP).unwrap();
    pair.proxy.await_log("the configuration is read").unwrap();
    assert!(log.exists());
}

#[test]
fn rules_say_who_may_open_what() {
    let rules = "uri_access = [ \"allow read-only from user root to test:///*\", ]";
    let pair = Pair::start(rules, &[]).unwrap();
    pair.serves().unwrap();
    let refused = pair.client().args(["destroy", "test"]).run().unwrap();
    assert!(
        refused.stderr.contains("read only") || refused.stderr.contains("forbidden"),
        "{refused}"
    );
    let other = virsh(&uri_unix("qemu:///system", &pair.proxy.socket()));
    let refused = other.args(["list"]).run().unwrap();
    assert!(refused.stderr.contains("access denied"), "{refused}");
    assert!(refused.stderr.contains("qemu:///system"), "{refused}");
    pair.proxy
        .await_log("may not open \"qemu:///system\"")
        .unwrap();
}
