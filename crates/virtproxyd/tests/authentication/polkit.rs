//! polkit: a real one, and none; more of what it decides is tested beside the code.

use testbed::{Client, Libvirtd, Polkit, Virtproxyd, clean_command, uri_unix, virsh};

const PROGRAM: &str = env!("CARGO_BIN_EXE_virtproxyd");

const CONFIG: &str = "auth_unix_rw = \"polkit\"\nauth_unix_ro = \"polkit\"\n\
                      unix_sock_rw_perms = \"0777\"\n";

#[test]
fn without_polkit_root_is_served_and_others_are_refused() {
    let libvirtd = Libvirtd::start().unwrap();
    let proxy = Virtproxyd::builder(PROGRAM)
        .config(CONFIG)
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .start()
        .unwrap();
    libvirtd.link_as(&proxy.daemons(), "test").unwrap();
    let uri = uri_unix("test:///default", &proxy.socket());

    let root = virsh(&uri).args(["list", "--name"]).run().unwrap();
    assert_eq!(root.succeeded().unwrap().trim(), "test");

    let other = clean_command("setpriv")
        .args([
            "--reuid=nobody",
            "--clear-groups",
            "virsh",
            "-c",
            &uri,
            "list",
        ])
        .output()
        .unwrap();
    assert!(!other.status.success());
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("polkit cannot be asked"), "{said}");
    proxy.await_log("are D-Bus and polkitd running?").unwrap();
}

#[test]
fn polkit_decides_who_may_look_and_who_may_change_things() {
    let polkit = Polkit::start().unwrap();
    let libvirtd = Libvirtd::start().unwrap();
    let proxy = Virtproxyd::builder(PROGRAM)
        .config(CONFIG)
        .config("unix_sock_ro_perms = \"0777\"")
        .env("DBUS_SYSTEM_BUS_ADDRESS", polkit.address())
        .start()
        .unwrap();
    libvirtd.link_as(&proxy.daemons(), "test").unwrap();
    let writing = uri_unix("test:///default", &proxy.socket());
    let looking = uri_unix("test:///default", &proxy.socket_ro());
    let virsh = |user: &str, uri: &str, command: &[&str]| {
        Client::new("setpriv")
            .args([&format!("--reuid={user}"), "--clear-groups"])
            .args(["virsh", "--connect", uri])
            .args(command)
            .run()
            .unwrap()
    };
    let list = &["list", "--name"][..];
    for (user, uri, command, refusal) in [
        ("root", &writing, list, None),
        ("daemon", &writing, list, None),
        ("daemon", &writing, &["destroy", "test"], None),
        ("daemon", &looking, list, None),
        ("nobody", &looking, list, None),
        ("nobody", &looking, &["destroy", "test"], Some("read only")),
        ("nobody", &writing, list, Some("no polkit agent available")),
        ("games", &looking, list, Some("access denied by policy")),
        ("games", &writing, list, Some("access denied by policy")),
    ] {
        let ended = virsh(user, uri, command);
        let well = match refusal {
            None => ended.status.success(),
            Some(words) => !ended.status.success() && ended.stderr.contains(words),
        };
        assert!(well, "{user}: {ended}");
    }
    proxy
        .await_log("user daemon) opened test:///default")
        .unwrap();
}
