//! polkit, where it is not there: what it decides is tested beside the code.

use testbed::{Libvirtd, Virtproxyd, clean_command, uri_unix, virsh};

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
