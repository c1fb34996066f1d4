//! Administrators, with a real virt-admin.

use anyhow::Result;
use testbed::{Client, PATIENCE, eventually, uri_unix, virsh, virt_admin};

use crate::pki::Gate;

fn admin(gate: &Gate, command: &[&str]) -> Client {
    virt_admin("virtproxyd", &gate.proxy.admin_socket()).args(command)
}

/// What an administrator is told.
fn told(gate: &Gate, command: &[&str]) -> Result<String> {
    admin(gate, command).run()?.succeeded()
}

#[test]
fn servers_their_clients_and_limits_are_told() {
    let gate = Gate::start("max_clients = 77\nmax_anonymous_clients = 7\n").unwrap();
    let servers = told(&gate, &["server-list"]).unwrap();
    assert!(
        servers.contains("admin") && servers.contains("virtproxyd"),
        "{servers}"
    );
    let uri = uri_unix("test:///default", &gate.proxy.socket());
    let _client = virsh(&uri)
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    gate.proxy.await_log("opened test:///default").unwrap();
    let info = told(&gate, &["server-clients-info", "virtproxyd"]).unwrap();
    for line in [
        "nclients_max        : 77",
        "nclients            : 1",
        "nclients_unauth_max : 7",
        "nclients_unauth     : 0",
    ] {
        assert!(info.contains(line), "{line}: {info}");
    }
    let pool = told(&gate, &["server-threadpool-info", "virtproxyd"]).unwrap();
    assert!(pool.contains("maxWorkers"), "{pool}");
    let clients = told(&gate, &["client-list", "virtproxyd"]).unwrap();
    assert!(clients.contains("unix"), "{clients}");
    let id = clients
        .lines()
        .nth(2)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let info = told(&gate, &["client-info", "virtproxyd", id]).unwrap();
    for line in [
        "transport      : unix",
        "readonly       : no",
        "unix_user_name : root",
        "unix_process_id:",
    ] {
        assert!(info.contains(line), "{line}: {info}");
    }
}

#[test]
fn a_client_is_disconnected_in_the_middle_of_its_session() {
    let gate = Gate::start("").unwrap();
    let uri = uri_unix("test:///default", &gate.proxy.socket());
    let mut client = virsh(&uri)
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    gate.proxy.await_log("opened test:///default").unwrap();
    let clients = told(&gate, &["client-list", "virtproxyd"]).unwrap();
    let id = clients
        .lines()
        .nth(2)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    told(&gate, &["client-disconnect", "virtproxyd", &id]).unwrap();
    gate.proxy.await_log("it was told to go").unwrap();
    eventually(PATIENCE, "the client to notice", || {
        client.stderr().contains("isconnected") || client.process().ended().unwrap().is_some()
    })
    .unwrap();
    let gone = admin(&gate, &["client-disconnect", "virtproxyd", &id])
        .run()
        .unwrap();
    assert!(!gone.status.success(), "{gone}");
}

#[test]
fn limits_and_the_log_can_be_changed() {
    let gate = Gate::start("").unwrap();
    told(
        &gate,
        &[
            "server-clients-set",
            "virtproxyd",
            "--max-clients",
            "50",
            "--max-unauth-clients",
            "5",
        ],
    )
    .unwrap();
    let info = told(&gate, &["server-clients-info", "virtproxyd"]).unwrap();
    assert!(info.contains("nclients_max        : 50"), "{info}");
    told(&gate, &["daemon-log-filters", "4:session 1:admin"]).unwrap();
    assert!(
        told(&gate, &["daemon-log-filters"])
            .unwrap()
            .contains("4:session 1:admin")
    );
    let file = gate.proxy.folder().join("other.log");
    let outputs = format!("1:file:{}", file.display());
    told(&gate, &["daemon-log-outputs", &outputs]).unwrap();
    assert!(
        told(&gate, &["daemon-log-outputs"])
            .unwrap()
            .contains(&outputs)
    );
    told(&gate, &["server-list"]).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("admin"), "{text}");
    let wrong = admin(&gate, &["daemon-log-outputs", "7:pigeon"])
        .run()
        .unwrap();
    assert!(!wrong.status.success(), "{wrong}");
    assert!(
        told(&gate, &["daemon-log-outputs"])
            .unwrap()
            .contains(&outputs)
    );
    let no_tls = admin(&gate, &["server-update-tls", "virtproxyd"])
        .run()
        .unwrap();
    assert!(!no_tls.status.success(), "{no_tls}");
}

#[test]
fn only_root_administers() {
    let gate = Gate::start("unix_sock_admin_perms = \"0777\"\n").unwrap();
    let socket = gate.proxy.admin_socket();
    let uri = format!("virtproxyd:///system?socket={}", socket.display());
    let refused = Client::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .args(["virt-admin", "-c", &uri, "server-list"])
        .run()
        .unwrap();
    assert!(!refused.status.success(), "{refused}");
    assert!(refused.stderr.contains("may not administer"), "{refused}");
}
