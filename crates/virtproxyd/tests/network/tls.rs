//! TLS: who is let in, who is not, and certificates that are renewed.

use std::path::Path;

use anyhow::Result;
use nix::sys::signal::Signal;
use testbed::{Client, virt_admin};

use crate::pki::{Gate, Pki};

/// What a client sees of the test driver.
fn list(client: &Client) -> Result<String> {
    client.run()?.succeeded()
}

fn names(client: Client) -> Client {
    client.args(["list", "--name"])
}

#[test]
fn a_client_with_a_certificate_gets_what_it_would_get_directly() {
    let pki = Pki::new().unwrap();
    let gate = Gate::start(&pki.config()).unwrap();
    let folder = pki.client("good", Some(&pki.authority)).unwrap();
    let direct = testbed::virsh(&testbed::uri_unix(
        "test:///default",
        &gate.libvirtd.socket(),
    ));
    for command in [
        &["list", "--all"][..],
        &["dumpxml", "test"],
        &["capabilities"],
        &["nodeinfo"],
    ] {
        let here = gate.tls_client(&folder).args(command).run().unwrap();
        let there = direct.clone().args(command).run().unwrap();
        assert_eq!(here.stdout, there.stdout, "{command:?}");
        assert_eq!(here.status, there.status, "{command:?}");
    }
    gate.proxy.await_log("CN=good").unwrap();
}

#[test]
fn a_client_without_a_certificate_is_refused_with_the_reason_in_the_log() {
    let pki = Pki::new().unwrap();
    let gate = Gate::start(&pki.config()).unwrap();
    let folder = pki.client("none", None).unwrap();
    let refused = names(gate.tls_client(&folder)).run().unwrap();
    assert!(!refused.status.success(), "{refused}");
    gate.proxy.await_log("has shown no certificate").unwrap();
    let folder = pki.client("good", Some(&pki.authority)).unwrap();
    list(&names(gate.tls_client(&folder))).unwrap();
}

#[test]
fn without_verification_a_client_needs_no_certificate() {
    let pki = Pki::new().unwrap();
    let config = format!("{}tls_no_verify_certificate = 1\n", pki.config());
    let gate = Gate::start(&config).unwrap();
    let folder = pki.client("none", None).unwrap();
    list(&names(gate.tls_client(&folder))).unwrap();
}

#[test]
fn only_names_on_the_list_are_let_in() {
    let pki = Pki::new().unwrap();
    let config = format!(
        "{}tls_allowed_dn_list = [ \"CN=go*\", \"CN=?est\" ]\n",
        pki.config()
    );
    let gate = Gate::start(&config).unwrap();
    for name in ["good", "best"] {
        let folder = pki.client(name, Some(&pki.authority)).unwrap();
        list(&names(gate.tls_client(&folder))).unwrap();
    }
    let folder = pki.client("bad", Some(&pki.authority)).unwrap();
    let refused = names(gate.tls_client(&folder)).run().unwrap();
    assert!(!refused.status.success(), "{refused}");
    gate.proxy.await_log("CN=bad").unwrap();
}

#[test]
fn rules_know_clients_by_their_certificates() {
    let pki = Pki::new().unwrap();
    let config = format!(
        "{}uri_access = [ \"allow read-only from cert CN=looker to test:///default\" ]\n",
        pki.config()
    );
    let gate = Gate::start(&config).unwrap();
    let folder = pki.client("looker", Some(&pki.authority)).unwrap();
    list(&names(gate.tls_client(&folder))).unwrap();
    let refused = gate
        .tls_client(&folder)
        .args(["destroy", "test"])
        .run()
        .unwrap();
    assert!(
        refused.stderr.contains("read only") || refused.stderr.contains("forbidden"),
        "{refused}"
    );
    let folder = pki.client("other", Some(&pki.authority)).unwrap();
    let refused = names(gate.tls_client(&folder)).run().unwrap();
    assert!(refused.stderr.contains("access denied"), "{refused}");
}

/// The common name that the server shows.
fn shown(gate: &Gate, folder: &Path) -> Result<String> {
    let address = format!("127.0.0.1:{}", gate.proxy.tls_port());
    let seen = Client::new("openssl")
        .args(["s_client", "-connect", &address, "-showcerts"])
        .args(["-CAfile".as_ref(), folder.join("cacert.pem").as_os_str()])
        .args(["-cert".as_ref(), folder.join("clientcert.pem").as_os_str()])
        .args(["-key".as_ref(), folder.join("clientkey.pem").as_os_str()])
        .run()?;
    let subject = seen
        .stdout
        .lines()
        .find(|line| line.starts_with("subject="));
    Ok(subject.unwrap_or_default().to_owned())
}

#[test]
fn a_renewed_certificate_is_used_and_nobody_is_dropped() {
    let pki = Pki::new().unwrap();
    let mut gate = Gate::start(&pki.config()).unwrap();
    let folder = pki.client("good", Some(&pki.authority)).unwrap();
    let mut client = gate
        .tls_client(&folder)
        .args(["event", "--all", "--loop"])
        .start()
        .unwrap();
    gate.proxy.await_log("opened test:///default").unwrap();
    assert!(shown(&gate, &folder).unwrap().contains("localhost"));

    pki.renew("second.example").unwrap();
    gate.proxy.signal(Signal::SIGHUP).unwrap();
    gate.proxy.await_log("the configuration is read").unwrap();
    assert!(shown(&gate, &folder).unwrap().contains("second.example"));

    pki.renew("third.example").unwrap();
    let admin = virt_admin("virtproxyd", &gate.proxy.admin_socket());
    let told = admin
        .clone()
        .args(["server-update-tls", "virtproxyd"])
        .run()
        .unwrap();
    told.succeeded().unwrap();
    assert!(shown(&gate, &folder).unwrap().contains("third.example"));

    // A broken one changes nothing and is told.
    pki.scratch.write("servercert.pem", "nonsense").unwrap();
    let refused = admin
        .args(["server-update-tls", "virtproxyd"])
        .run()
        .unwrap();
    assert!(
        !refused.status.success() && refused.stderr.contains("servercert.pem"),
        "{refused}"
    );
    gate.proxy.signal(Signal::SIGHUP).unwrap();
    gate.proxy.await_log("everything stays as it was").unwrap();
    assert!(shown(&gate, &folder).unwrap().contains("third.example"));
    assert!(
        client.process().ended().unwrap().is_none(),
        "a client was dropped"
    );
}
