//! What virtproxyd does not start with: each has its own words and exit status, before any socket is
//! opened.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use anyhow::Result;
use testbed::{Client, Finished, PATIENCE, SaslUsers, eventually};

use crate::home::{Home, PROGRAM};

/// The configuration is wrong.
const CONFIG: Option<i32> = Some(7);

/// A socket cannot be opened, or what its clients need.
const NETWORK: Option<i32> = Some(6);

/// Expects that it ends with `message` and has opened nothing.
fn is_refused(home: &Home, status: Option<i32>, message: &str) -> Result<Finished> {
    let ended = home.refused()?;
    assert_eq!(ended.status.code(), status, "{message}: {ended}");
    assert!(ended.stderr.contains(message), "{message}: {ended}");
    for name in [
        "libvirt-sock",
        "libvirt-sock-ro",
        "libvirt-admin-sock",
        "pid",
    ] {
        assert!(!home.join(name).exists(), "{message}: {name} was made");
    }
    Ok(ended)
}

#[test]
fn a_wrong_setting_is_named_with_its_file_and_line() {
    let table = [
        ("max_clients = ", ":1"),
        ("listen_tcp = 0\nmax_clinets = 5", ":2"),
        ("max_clients = \"many\"", "max_clients"),
        ("tcp_port = \"99999\"", "tcp_port"),
        ("auth_tcp = \"polkit\"", "auth_tcp"),
        ("auth_unix_rw = \"kerberos\"", "auth_unix_rw"),
        ("unix_sock_group = \"no-such-group\"", "no-such-group"),
        ("unix_sock_rw_perms = \"0999\"", "unix_sock_rw_perms"),
        ("log_outputs = \"1:carrier-pigeon\"", "log_outputs"),
        ("log_filters = \"9:session\"", "log_filters"),
        (
            "uri_access = [ \"allow from user nobody-of-this-name\" ]",
            ":1: uri_access",
        ),
        ("daemon_sockets = [ \"qemu\" ]", "daemon_sockets"),
        (
            "listen_addr = \"127.0.0.1\"\nlisten_tcp = 1\nlisten_tls = 1\ntcp_port = \"5\"\ntls_port = \"5\"",
            "_port",
        ),
    ];
    for (config, message) in table {
        let home = Home::new(config).unwrap();
        let ended = is_refused(&home, CONFIG, message).unwrap();
        let file = home.join("conf");
        assert!(
            ended.stderr.contains(file.to_str().unwrap()) || !message.starts_with(':'),
            "{ended}"
        );
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let home = Home::new("").unwrap();
    let conf = home.join("conf");
    fs::remove_file(&conf).unwrap();
    is_refused(&home, CONFIG, conf.to_str().unwrap()).unwrap();
    fs::create_dir(&conf).unwrap();
    is_refused(&home, CONFIG, conf.to_str().unwrap()).unwrap();
    fs::remove_dir(&conf).unwrap();
    fs::write(&conf, b"max_clients = 5\xff").unwrap();
    is_refused(&home, CONFIG, conf.to_str().unwrap()).unwrap();
    fs::write(&conf, vec![b'#'; 2 << 20]).unwrap();
    is_refused(&home, CONFIG, conf.to_str().unwrap()).unwrap();
}

#[test]
fn wrong_options_are_named() {
    for (options, message) in [
        (&["--listen"][..], "--listen"),
        (&["-t", "soon"], "soon"),
        (&["-f"], "-f"),
        (&["now"], "now"),
    ] {
        let ended = Client::new(PROGRAM).args(options).run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert!(ended.stderr.contains(message), "{ended}");
        assert!(ended.stderr.contains("Usage: virtproxyd"), "{ended}");
    }
}

#[test]
fn help_and_version_are_told() {
    let told = |option: &str| {
        let ended = Client::new(PROGRAM).args([option]).run().unwrap();
        ended.succeeded().unwrap()
    };
    assert!(told("-h").contains("--timeout"));
    assert_eq!(told("-h"), told("--help"));
    assert!(told("--version").starts_with("virtproxyd ("));
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let home = Home::new(
        "listen_tls = 1\nlisten_addr = \"127.0.0.1\"\nkey_file = \"/nonexistent/key.pem\"\n\
         cert_file = \"/nonexistent/cert.pem\"\nca_file = \"/nonexistent/ca.pem\"",
    )
    .unwrap();
    let ended = is_refused(&home, NETWORK, "/nonexistent/key.pem").unwrap();
    // Whoever has to mend it is told all at once.
    for file in ["/nonexistent/cert.pem", "/nonexistent/ca.pem"] {
        assert!(ended.stderr.contains(file), "{ended}");
    }
    let home = Home::new("key_file = \"/nonexistent/key.pem\"").unwrap();
    is_refused(&home, CONFIG, "set cert_file").unwrap();
}

#[test]
fn a_socket_that_another_serves_is_left_to_it() {
    let home = Home::new("").unwrap();
    let _other = std::os::unix::net::UnixListener::bind(home.join("libvirt-sock")).unwrap();
    let ended = home.refused().unwrap();
    assert_eq!(ended.status.code(), NETWORK, "{ended}");
    assert!(ended.stderr.contains("Address already in use"), "{ended}");
    assert!(home.join("libvirt-sock").exists());
    assert!(!home.join("libvirt-admin-sock").exists());
}

#[test]
fn a_folder_without_rights_is_named() {
    let home = Home::new("unix_sock_dir = \"/proc/nonexistent\"").unwrap();
    let ended = home.refused().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended}");
    assert!(ended.stderr.contains("/proc/nonexistent"), "{ended}");
}

#[test]
fn passwords_that_everyone_can_read_are_refused() {
    let users = SaslUsers::new(&[("fred", "secret")], "SCRAM-SHA-256").unwrap();
    let conf = fs::read_to_string(users.folder().join("libvirt.conf")).unwrap();
    let path = conf
        .lines()
        .find_map(|line| line.strip_prefix("sasldb_path: "));
    let path = path.unwrap();
    let home = Home::new("auth_unix_rw = \"sasl\"").unwrap();
    let start = || home.program().env("SASL_CONF_PATH", users.folder());
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let ended = start().run().unwrap();
    assert_eq!(ended.status.code(), CONFIG, "{ended}");
    assert!(ended.stderr.contains(path), "{ended}");
    assert!(!home.join("libvirt-sock").exists());
    fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    let mut running = start().start().unwrap();
    eventually(PATIENCE, "its socket", || {
        UnixStream::connect(home.join("libvirt-sock")).is_ok()
    })
    .unwrap();
    running.process().terminate().unwrap();
}
