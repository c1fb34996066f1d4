//! Settings that the other tests do not need: logs, addresses, daemons in other places.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use anyhow::Result;
use testbed::{Libvirtd, PATIENCE, Virtproxyd, eventually, uri_tcp, uri_unix, virsh, virt_admin};

use crate::home::{Home, PROGRAM, Pair};

fn holds(log: &Path, text: &str) -> bool {
    fs::read_to_string(log).is_ok_and(|content| content.contains(text))
}

fn await_text(log: &Path, text: &str) -> Result<()> {
    eventually(PATIENCE, format!("«{text}» in the log"), || {
        holds(log, text)
    })
}

/// What the log says of an opened session.
const OPENED: &str = "opened test:///default";

#[test]
fn a_reload_changes_what_is_logged_and_where() {
    let folder = testbed::Scratch::new().unwrap();
    let [first, second, third] = ["a", "b", "c"].map(|name| folder.join(name));
    let outputs = |level: u8, file: &Path| {
        format!(
            "log_level = {level}\nlog_outputs = \"1:file:{}\"\n",
            file.display()
        )
    };
    let mut pair = Pair::start(&outputs(3, &first), &[]).unwrap();
    pair.serves().unwrap();
    pair.proxy.reload(&outputs(2, &second)).unwrap();
    await_text(&second, "the configuration is read").unwrap();
    pair.serves().unwrap();
    await_text(&second, OPENED).unwrap();
    assert!(!holds(&second, "connected"), "debugging was not asked for");
    let filters = "log_filters = \"1:virtproxyd.session\"\n";
    let config = outputs(3, &third) + filters;
    pair.proxy.reload(&config).unwrap();
    // The file is there a moment before it is used.
    eventually(PATIENCE, "the third log", || {
        pair.serves().is_ok() && holds(&third, "connected")
    })
    .unwrap();
    assert!(!holds(&third, OPENED), "the filter let too much through");
    assert!(!holds(&first, OPENED), "the first log is still written");
    pair.proxy
        .reload("log_outputs = \"1:file:/proc/no/log\"")
        .unwrap();
    await_text(&third, "everything stays as it was").unwrap();
    pair.serves().unwrap();
}

#[test]
fn variables_and_options_win_over_the_configuration_of_the_log() {
    let folder = testbed::Scratch::new().unwrap();
    let [configured, environment, verbose] = ["a", "b", "c"].map(|name| folder.join(name));
    let outputs = |file: &Path| format!("1:file:{}", file.display());
    let quiet = |file: &Path| format!("log_level = 4\nlog_outputs = \"{}\"", outputs(file));
    let libvirtd = Libvirtd::start().unwrap();
    let serves = |proxy: &Virtproxyd| {
        libvirtd.link_as(&proxy.daemons(), "test").unwrap();
        let uri = uri_unix("test:///default", &proxy.socket());
        let listed = virsh(&uri).args(["list"]).run().unwrap();
        listed.succeeded().unwrap();
    };
    let proxy = Virtproxyd::builder(PROGRAM)
        .config(&quiet(&configured))
        .env("LIBVIRT_DEBUG", "debug")
        .env("LIBVIRT_LOG_FILTERS", "4:access")
        .env("LIBVIRT_LOG_OUTPUTS", outputs(&environment));
    let proxy = proxy.start().unwrap();
    serves(&proxy);
    await_text(&environment, "connected").unwrap();
    assert!(!holds(&environment, OPENED) && !configured.exists());
    let proxy = Virtproxyd::builder(PROGRAM)
        .config(&quiet(&verbose))
        .args(["-v"]);
    let proxy = proxy.start().unwrap();
    serves(&proxy);
    await_text(&verbose, OPENED).unwrap();
}

#[test]
fn only_the_address_of_the_configuration_is_listened_on() {
    let config = "listen_tcp = 1\nauth_tcp = \"none\"\nlisten_addr = \"127.0.0.2\"";
    let pair = Pair::start(config, &[]).unwrap();
    let port = pair.proxy.tcp_port();
    let uri = uri_tcp("test:///default", port);
    let listed = virsh(&uri.replace("127.0.0.1", "127.0.0.2")).args(["list"]);
    listed.run().unwrap().succeeded().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("127.0.0.1", pair.proxy.tls_port())).is_err());
}

#[test]
fn daemons_may_have_their_sockets_elsewhere() {
    let libvirtd = Libvirtd::start().unwrap();
    let socket = libvirtd.socket();
    let config = format!("daemon_sockets = [ \"test={}\" ]", socket.display());
    let proxy = Virtproxyd::builder(PROGRAM)
        .config(&config)
        .start()
        .unwrap();
    for (socket, allowed) in [(proxy.socket(), true), (proxy.socket_ro(), false)] {
        let destroy = virsh(&uri_unix("test:///default", &socket)).args(["destroy", "test"]);
        let ended = destroy.run().unwrap();
        assert_eq!(ended.status.success(), allowed, "{ended}");
    }
    let other = virsh(&uri_unix("qemu:///system", &proxy.socket())).args(["list"]);
    let refused = other.run().unwrap();
    assert!(refused.stderr.contains("virtqemud-sock"), "{refused}");
}

#[test]
fn an_administrator_sets_the_time_after_which_it_ends_without_clients() {
    let mut pair = Pair::start("", &[]).unwrap();
    pair.serves().unwrap();
    let admin = virt_admin("virtproxyd", &pair.proxy.admin_socket());
    let told = admin
        .args(["daemon-timeout", "--timeout", "1"])
        .run()
        .unwrap();
    told.succeeded().unwrap();
    let status = pair.proxy.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    assert!(!pair.proxy.pid_file().exists());
}

#[test]
fn without_an_address_all_are_listened_on() {
    testbed::own_network(&["10.99.0.1/32", "fd00:99::1/128"]).unwrap();
    let libvirtd = Libvirtd::start().unwrap();
    let home = Home::new("listen_tcp = 1\nauth_tcp = \"none\"\ntcp_port = \"16509\"").unwrap();
    libvirtd.link_as(home.path(), "test").unwrap();
    let _proxy = home.program().start().unwrap();
    for address in ["127.0.0.1", "10.99.0.1", "[fd00:99::1]", "[::1]"] {
        let uri = format!("test+tcp://{address}/default");
        eventually(PATIENCE, format!("an answer at {uri}"), || {
            let listed = virsh(&uri).args(["list"]).run();
            listed.is_ok_and(|listed| listed.status.success())
        })
        .unwrap();
    }
}
