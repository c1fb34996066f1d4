//! SASL over TCP, with the security layer of DIGEST-MD5, and over unix sockets.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testbed::{Client, Scratch, clean_command, packages, uri_tcp, uri_unix, virsh};

use crate::pki::Gate;

/// A SASL of this test alone with the user `fred` (password `secret`).
struct Passwords(Scratch);

impl Passwords {
    fn new(mechanisms: &str) -> Result<Passwords> {
        packages::require("sasl2-bin")?;
        packages::require("libsasl2-modules")?;
        let scratch = Scratch::new()?;
        let database = scratch.join("sasldb");
        scratch.write(
            "libvirt.conf",
            format!(
                "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: {mechanisms}\n",
                database.display()
            ),
        )?;
        let mut child = clean_command("saslpasswd2")
            .args(["-p", "-c", "-a", "libvirt", "-f"])
            .arg(&database)
            .arg("fred")
            .stdin(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(b"secret")?;
        drop(stdin);
        ensure!(child.wait()?.success(), "saslpasswd2 failed");
        Ok(Passwords(scratch))
    }

    fn gate(&self, config: &str) -> Result<Gate> {
        Gate::start_in(config, &[("SASL_CONF_PATH", self.0.path())])
    }

    /// A client that logs in as fred, with this password.
    fn client(&self, uri: &str, password: &str) -> Result<Client> {
        let passwords = format!(
            "[credentials-fred]\nauthname=fred\npassword={password}\n\n\
             [auth-libvirt-127.0.0.1]\ncredentials=fred\n\n\
             [auth-libvirt-default]\ncredentials=fred\n\n[auth-libvirt-localhost]\ncredentials=fred\n"
        );
        let file = self.0.write(format!("passwords-{password}"), passwords)?;
        let sign = if uri.contains('?') { '&' } else { '?' };
        Ok(virsh(&format!("{uri}{sign}authfile={}", file.display())))
    }
}

const TCP: &str = "listen_tcp = 1\nauth_tcp = \"sasl\"\n";

#[test]
fn a_client_is_served_inside_sasls_security_layer() {
    let passwords = Passwords::new("DIGEST-MD5").unwrap();
    let gate = passwords.gate(TCP).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let direct = virsh(&uri_unix("test:///default", &gate.libvirtd.socket()));
    for command in [
        &["list", "--all"][..],
        &["dumpxml", "test"],
        &["capabilities"],
    ] {
        let here = passwords.client(&uri, "secret").unwrap().args(command);
        let here = here.run().unwrap().succeeded().unwrap();
        let there = direct.clone().args(command).run().unwrap();
        assert_eq!(here, there.stdout, "{command:?}");
    }
    gate.proxy.await_log("SASL name \"fred").unwrap();
}

#[test]
fn a_wrong_password_is_refused_and_the_next_client_is_served() {
    let passwords = Passwords::new("DIGEST-MD5").unwrap();
    let gate = passwords.gate(TCP).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let refused = passwords.client(&uri, "guess").unwrap().args(["list"]);
    let refused = refused.run().unwrap();
    assert!(
        refused.stderr.contains("authentication failed"),
        "{refused}"
    );
    gate.proxy.await_log("could not authenticate").unwrap();
    assert!(
        !gate.proxy.log().contains("guess"),
        "a password is in the log"
    );
    let served = passwords.client(&uri, "secret").unwrap().args(["list"]);
    served.run().unwrap().succeeded().unwrap();
}

#[test]
fn a_name_that_is_not_on_the_list_is_refused() {
    let passwords = Passwords::new("DIGEST-MD5").unwrap();
    let config = format!("{TCP}sasl_allowed_username_list = [ \"joe@*\" ]\n");
    let gate = passwords.gate(&config).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let refused = passwords.client(&uri, "secret").unwrap().args(["list"]);
    let refused = refused.run().unwrap();
    assert!(
        refused.stderr.contains("authentication failed"),
        "{refused}"
    );
}

#[test]
fn a_mechanism_without_a_layer_is_too_weak_for_tcp_and_good_on_a_unix_socket() {
    let passwords = Passwords::new("SCRAM-SHA-256").unwrap();
    let config = format!("{TCP}auth_unix_rw = \"sasl\"\n");
    let gate = passwords.gate(&config).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let refused = passwords.client(&uri, "secret").unwrap().args(["list"]);
    assert!(!refused.run().unwrap().status.success());
    let uri = uri_unix("test:///default", &gate.proxy.socket());
    let served = passwords.client(&uri, "secret").unwrap().args(["list"]);
    served.run().unwrap().succeeded().unwrap();
    let unknown = passwords.client(&uri, "wrong").unwrap().args(["list"]);
    assert!(
        unknown
            .run()
            .unwrap()
            .stderr
            .contains("authentication failed")
    );
}

#[test]
fn a_user_is_known_by_the_name_that_sasl_has_proved() {
    let passwords = Passwords::new("DIGEST-MD5").unwrap();
    let config = format!("{TCP}uri_access = [ \"allow from sasl fred* to test:///default\" ]\n");
    let gate = passwords.gate(&config).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let served = passwords.client(&uri, "secret").unwrap().args(["list"]);
    served.run().unwrap().succeeded().unwrap();
    let local = virsh(&uri_unix("test:///default", &gate.proxy.socket()));
    let refused = local.args(["list"]).run().unwrap();
    assert!(refused.stderr.contains("access denied"), "{refused}");
}

#[test]
fn a_configuration_without_its_library_is_no_secret() {
    // The folder is not there, so that libsasl2 knows no mechanism that fits.
    let gate = Gate::start_in(TCP, &[("SASL_CONF_PATH", Path::new("/nonexistent"))]).unwrap();
    let uri = uri_tcp("test:///default", gate.proxy.tcp_port());
    let refused = virsh(&uri).args(["list"]).run().unwrap();
    assert!(!refused.status.success(), "{refused}");
}
