//! Files that are missing, wrong or do not belong together.

use super::*;

#[test]
fn every_file_at_fault_is_told_with_its_setting() {
    let pki = Pki::new();
    let mut settings = pki.settings();
    settings.key_file = Some(pki.path("no.key"));
    settings.cert_file = Some(pki.0.folder("folder").unwrap());
    settings.ca_file = Some(pki.write("empty", ""));
    settings.crl_file = Some(pki.path("no.crl"));
    settings.priority = Some("NORMAL:+3DES-CBC".into());
    assert_eq!(
        pki.problems(&settings),
        "cert_file: folder: it is not a plain file\n\
         key_file: no.key: cannot read it: No such file or directory\n\
         ca_file: empty: there is no certificate in it (expected PEM, -----BEGIN CERTIFICATE-----)\n\
         crl_file: no.crl: cannot read it: No such file or directory\n\
         tls_priority: \"+3DES-CBC\" in the priority string cannot be honoured: rustls does not \
         have it; leave it out\n"
    );
}

#[test]
fn files_that_are_not_named_are_at_the_usual_places_where_only_a_list_may_be_missing() {
    let pki = Pki::new();
    let unnamed = config::Tls {
        key_file: None,
        cert_file: None,
        ca_file: None,
        ..pki.settings()
    };
    assert_eq!(
        pki.problems(&unnamed),
        "cert_file (not set): usual/servercert.pem: cannot read it: No such file or directory\n\
         key_file (not set): usual/serverkey.pem: cannot read it: No such file or directory\n\
         ca_file (not set): usual/cacert.pem: cannot read it: No such file or directory\n"
    );
    pki.0.folder("usual").unwrap();
    for (from, to) in [
        ("server.key", "usual/serverkey.pem"),
        ("server.pem", "usual/servercert.pem"),
        ("ca.pem", "usual/cacert.pem"),
    ] {
        pki.write(to, &pki.text(from));
    }
    pki.load(&unnamed);
    pki.write("usual/cacrl.pem", "no list");
    assert_eq!(
        pki.problems(&unnamed),
        "crl_file (not set): usual/cacrl.pem: there is no revocation list in it (expected PEM, \
         -----BEGIN X509 CRL-----)\n"
    );
}

#[test]
fn a_key_that_others_may_read_or_of_another_certificate_is_an_error() {
    let pki = Pki::new();
    let settings = pki.settings();
    std::fs::set_permissions(pki.path("server.key"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        pki.problems(&settings),
        "key_file: server.key: others may use this private key (mode 0644): make it 0400, or \
         0440 for its group to read it too\n"
    );
    pki.key("other");
    let settings = config::Tls {
        key_file: Some(pki.path("other.key")),
        ..settings
    };
    assert_eq!(
        pki.problems(&settings),
        "key_file: other.key: it is not the private key of the certificate CN=localhost in \
         server.pem\n"
    );
}

#[test]
fn wrong_kinds_of_pem_are_errors() {
    let pki = Pki::new();
    let settings = config::Tls {
        cert_file: Some(pki.path("server.key")),
        key_file: Some(pki.write("pem.key", &pki.text("server.pem"))),
        crl_file: Some(pki.path("ca.pem")),
        ca_file: Some(pki.write("cut", &pki.text("ca.pem")[..100])),
        ..pki.settings()
    };
    let problems = pki.problems(&settings);
    let expected = [
        "cert_file: server.key: there is no certificate in it",
        "key_file: pem.key: there is no private key in it",
        "ca_file: cut: it is not sound PEM",
        "crl_file: ca.pem: there is no revocation list in it",
    ];
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn revocation_lists_that_cannot_be_used_are_errors_and_a_list_of_version_1_says_how_to_do_better() {
    let pki = Pki::new();
    let junk = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let settings = config::Tls {
        crl_file: Some(pki.write("junk", junk)),
        ..pki.settings()
    };
    let problems = pki.problems(&settings);
    let expected = "crl_file: junk: the revocation list number 1 in it cannot be used: it is malf";
    assert!(problems.starts_with(expected), "{problems}");

    pki.write("index", "");
    let folder = pki.0.path().display();
    let openssl_conf = format!(
        "[ca]\ndefault_ca = one\n[one]\ndatabase = {folder}/index\ncertificate = \
         {folder}/ca.pem\nprivate_key = {folder}/ca.key\ndefault_md = sha256\ndefault_crl_days = 9\n"
    );
    let conf = pki.write("conf", &openssl_conf);
    let openssl = Client::new("openssl")
        .args(["ca", "-gencrl", "-config"])
        .args([conf]);
    let openssl = openssl.args(["-out"]).args([pki.path("v1")]);
    openssl.run().unwrap().succeeded().unwrap();
    let settings = config::Tls {
        crl_file: Some(pki.path("v1")),
        ..pki.settings()
    };
    let problems = pki.problems(&settings);
    assert!(
        problems.contains("or it is of version 1, as openssl makes it without crl_extensions"),
        "{problems}"
    );
}

#[test]
fn a_users_files_come_before_the_systems_but_a_key_only_with_its_certificate() {
    let scratch = Scratch::new().unwrap();
    assert_eq!(Places::session(scratch.path()), Places::system());
    scratch.folder(".pki").unwrap();
    let folder = scratch.folder(".pki/libvirt").unwrap();
    scratch.write(".pki/libvirt/cacert.pem", "").unwrap();
    scratch.write(".pki/libvirt/serverkey.pem", "").unwrap();
    let mut expected = Places {
        authority: folder.join("cacert.pem"),
        ..Places::system()
    };
    assert_eq!(Places::session(scratch.path()), expected);
    scratch.write(".pki/libvirt/servercert.pem", "").unwrap();
    scratch.write(".pki/libvirt/cacrl.pem", "").unwrap();
    expected.key = folder.join("serverkey.pem");
    expected.certificate = folder.join("servercert.pem");
    expected.revocations = folder.join("cacrl.pem");
    assert_eq!(Places::session(scratch.path()), expected);
}
