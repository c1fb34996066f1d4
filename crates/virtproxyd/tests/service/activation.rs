//! Sockets that a service manager has opened, with systemd's own tool for it.

use std::fs::Permissions;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use anyhow::Result;
use nix::sys::signal::Signal;
use testbed::{
    Client, Libvirtd, PATIENCE, Running, eventually, eventually_some, free_port, packages, uri_tcp,
    uri_unix, virsh, virt_admin,
};

use crate::home::{Home, PROGRAM};

/// virtproxyd as `systemd-socket-activate` starts it, once somebody connects to one of the sockets.
fn activated(home: &Home, sockets: &[(&str, &str)]) -> Result<Running> {
    packages::require("systemd")?;
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    let mut client =
        Client::new("systemd-socket-activate").args([format!("--fdname={}", names.join(":"))]);
    for (_, address) in sockets {
        client = client.args(["-l", address]);
    }
    let (conf, pid) = (home.join("conf"), home.join("pid"));
    client
        .args([PROGRAM, "-f", conf.to_str().unwrap_or_default()])
        .args(["-p", pid.to_str().unwrap_or_default()])
        .start()
}

#[test]
fn handed_over_sockets_are_known_by_their_names_and_no_others_are_opened() {
    let libvirtd = Libvirtd::start().unwrap();
    // What is said of sockets here has no effect.
    let home =
        Home::new("listen_tcp = 1\nauth_tcp = \"none\"\nlisten_addr = \"127.0.0.1\"").unwrap();
    libvirtd.link_as(home.path(), "test").unwrap();
    let [writing, looking, admin] = ["any-name", "another", "third"].map(|name| home.join(name));
    let port = free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let sockets = [
        ("virtproxyd.socket", writing.to_str().unwrap()),
        ("virtproxyd-ro.socket", looking.to_str().unwrap()),
        ("virtproxyd-admin.socket", admin.to_str().unwrap()),
        ("virtproxyd-tcp.socket", &*address),
    ];
    let mut manager = activated(&home, &sockets).unwrap();
    eventually(PATIENCE, "the activator", || {
        let mut paths = [&looking, &writing, &admin].into_iter();
        paths.all(|path| UnixStream::connect(path).is_ok())
    })
    .unwrap();
    let undefine = |uri: &str| virsh(uri).args(["destroy", "test"]).run().unwrap();
    let refused = undefine(&uri_unix("test:///default", &looking));
    assert!(refused.stderr.contains("read only"), "{refused}");
    undefine(&uri_unix("test:///default", &writing))
        .succeeded()
        .unwrap();
    let listed = virsh(&uri_tcp("test:///default", port)).args(["list", "--all"]);
    assert!(listed.run().unwrap().succeeded().unwrap().contains("test"));
    let servers = virt_admin("virtproxyd", &admin).args(["server-list"]);
    assert!(
        servers
            .run()
            .unwrap()
            .succeeded()
            .unwrap()
            .contains("virtproxyd")
    );
    assert!(!home.join("libvirt-sock").exists());
    assert!(!home.join("libvirt-admin-sock").exists());
    assert!(TcpStream::connect(("127.0.0.1", 16509)).is_err());
    manager.process().terminate().unwrap();
    assert!(writing.exists(), "the manager's socket was removed");
}

#[test]
fn a_handed_over_socket_that_nobody_knows_is_refused() {
    let home = Home::new("").unwrap();
    let path = home.join("strange");
    let running = activated(&home, &[("strange.socket", path.to_str().unwrap())]).unwrap();
    let connect = || UnixStream::connect(&path).ok();
    let _client = eventually_some(PATIENCE, "the activator", connect).unwrap();
    let ended = running.finish().unwrap();
    assert_eq!(ended.status.code(), Some(6), "{ended}");
    assert!(ended.stderr.contains("\"strange.socket\""), "{ended}");
}

#[test]
fn a_socket_of_another_kind_than_its_name_says_is_refused() {
    let home = Home::new("").unwrap();
    let port = free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let running = activated(&home, &[("virtproxyd.socket", &address)]).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
    let _client = eventually_some(PATIENCE, "the activator", connect).unwrap();
    let ended = running.finish().unwrap();
    assert_eq!(ended.status.code(), Some(6), "{ended}");
    assert!(ended.stderr.contains("sockets of another kind"), "{ended}");
}

#[test]
fn a_handed_over_socket_that_lets_everyone_in_is_warned_of() {
    const WARNING: &str = "let every user of this host do anything";
    const OPEN: &str = "log_level = 1\nauth_unix_rw = \"none\"\n";
    // Without a file there are no permissions.
    let name = format!("gatehouse-activation-{}", std::process::id());
    let activate = |home: &Home, address: &str| {
        let running = activated(home, &[("virtproxyd.socket", address)]).unwrap();
        eventually(PATIENCE, "the activator", || {
            match address.strip_prefix('@') {
                Some(name) => {
                    let name = SocketAddr::from_abstract_name(name).unwrap();
                    UnixStream::connect_addr(&name).is_ok()
                }
                None => UnixStream::connect(address).is_ok(),
            }
        })
        .unwrap();
        await_log(home, "listening on ").unwrap();
        running
    };

    let home = Home::new(OPEN).unwrap();
    let running = activate(&home, &format!("@{name}"));
    await_log(&home, WARNING).unwrap();
    running.terminate().unwrap();

    let home = Home::new(OPEN).unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    let mut running = activate(&home, home.join("private").to_str().unwrap());
    running.process().signal(Signal::SIGHUP).unwrap();
    await_log(&home, "the configuration is read").unwrap();
    assert!(!log(&home).contains(WARNING), "{}", log(&home));
    running.terminate().unwrap();

    // It does not become so by the way.
    let polkit = OPEN.replace("none", "polkit");
    let home = Home::new(&polkit).unwrap();
    let mut running = activate(&home, &format!("@{name}"));
    assert!(!log(&home).contains(WARNING), "{}", log(&home));
    let conf = std::fs::read_to_string(home.join("conf")).unwrap();
    std::fs::write(home.join("conf"), conf.replace("polkit", "none")).unwrap();
    running.process().signal(Signal::SIGHUP).unwrap();
    await_log(&home, "everything stays as it was: ").unwrap();
    assert!(log(&home).contains(WARNING), "{}", log(&home));
    running.terminate().unwrap();
}

fn log(home: &Home) -> String {
    std::fs::read_to_string(home.join("log")).unwrap_or_default()
}

fn await_log(home: &Home, text: &str) -> Result<()> {
    eventually(PATIENCE, format!("«{text}» in the log"), || {
        log(home).contains(text)
    })
}
