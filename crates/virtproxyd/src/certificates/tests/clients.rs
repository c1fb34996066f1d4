//! Who gets in, and who does not.

use super::*;

const GOOD: &str = "C=GB,ST=London,L=Old Town,O=Gate,CN=good";

#[test]
fn a_client_with_a_certificate_of_the_authority_gets_in_by_its_name() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    let loaded = pki.load(&pki.settings());
    assert_eq!(meet(&loaded, &pki.openssl(Some("good"))).name(), Some(GOOD));
    assert_eq!(meet(&loaded, &pki.gnutls(Some("good"))).name(), Some(GOOD));
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let pki = Pki::new();
    let loaded = pki.load(&pki.settings());
    let reason = "TLS handshake failed: the peer has shown no certificate";
    let met = meet(&loaded, &pki.openssl(None));
    assert_eq!(met.refusal(), reason);
    let told = met.client.stderr;
    assert!(told.contains("alert certificate required"), "{told}");
    assert_eq!(meet(&loaded, &pki.gnutls(None)).refusal(), reason);
}

#[test]
fn a_client_of_a_foreign_authority_is_refused() {
    let pki = Pki::new();
    pki.authority("other", &format!("cn = \"CA\"\n{AUTHORITY}"));
    pki.issue_by("other", "foreign", &format!("cn = foreign\n{CLIENT}"));
    let loaded = pki.load(&pki.settings());
    let refusal = meet(&loaded, &pki.openssl(Some("foreign"))).refusal();
    assert!(
        refusal.contains("issued by an authority that is not trusted")
            || refusal.contains("signature of the peer or of its certificate is wrong"),
        "{refusal}"
    );
}

#[test]
fn a_client_out_of_its_time_is_refused() {
    let pki = Pki::new();
    pki.client("old", &format!("tls_www_client\nsigning_key\n{PAST}"));
    let loaded = pki.load(&pki.settings());
    let refusal = meet(&loaded, &pki.openssl(Some("old"))).refusal();
    let expected = "TLS handshake failed: the peer's certificate expired on 2021-01-01 00:00 UTC";
    assert_eq!(refusal, expected);
}

#[test]
fn a_revoked_client_is_refused_and_others_are_not_even_if_the_list_is_out_of_date() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    pki.client("bad", CLIENT);
    let old = "crl_this_update_date = \"2020-01-01 00:00:00\"\n\
               crl_next_update_date = \"2021-01-01 00:00:00\"\n";
    for (dates, warnings) in [("crl_next_update = 30\n", 0), (old, 1)] {
        pki.revoke("ca", "bad", dates, "crl.pem");
        let settings = config::Tls {
            crl_file: Some(pki.path("crl.pem")),
            ..pki.settings()
        };
        let loaded = pki.load(&settings);
        assert_eq!(loaded.warnings().len(), warnings, "{:?}", loaded.warnings());
        let refusal = meet(&loaded, &pki.openssl(Some("bad"))).refusal();
        let expected = "TLS handshake failed: the peer's certificate was revoked by its authority";
        assert_eq!(refusal, expected);
        assert_eq!(meet(&loaded, &pki.openssl(Some("good"))).name(), Some(GOOD));
    }
}

#[test]
fn of_several_lists_the_newest_counts_and_one_of_a_stranger_does_not() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    pki.client("bad", CLIENT);
    pki.revoke("ca", "bad", "crl_next_update = 30\n", "new.pem");
    let earlier = "crl_this_update_date = \"2020-01-01 00:00:00\"\ncrl_next_update = 30\n";
    pki.revoke("ca", "good", earlier, "earlier.pem");
    pki.authority("other", &format!("cn = \"Other\"\n{AUTHORITY}"));
    pki.revoke("other", "good", "crl_next_update = 30\n", "others.pem");
    let all = ["earlier.pem", "others.pem", "new.pem"].map(|name| pki.text(name));
    pki.write("crl.pem", &all.concat());
    let settings = config::Tls {
        crl_file: Some(pki.path("crl.pem")),
        ..pki.settings()
    };
    let loaded = pki.load(&settings);
    let warnings = loaded.warnings().join("\n");
    assert!(
        warnings.contains("list of CN=Other is of no use"),
        "{warnings}"
    );
    assert_eq!(meet(&loaded, &pki.openssl(Some("good"))).name(), Some(GOOD));
    let refusal = meet(&loaded, &pki.openssl(Some("bad"))).refusal();
    assert!(refusal.contains("was revoked"), "{refusal}");
}

#[test]
fn only_names_that_match_the_list_get_in() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    let refusal_with = |names: &[&str]| {
        let settings = config::Tls {
            allowed_names: Some(names.iter().map(|&name| name.to_owned()).collect()),
            ..pki.settings()
        };
        let met = meet(&pki.load(&settings), &pki.openssl(Some("good")));
        match met.server {
            Ok(_) => {
                assert_eq!(met.name(), Some(GOOD));
                None
            }
            Err(_) => Some(met.refusal()),
        }
    };
    let refusal =
        format!("the name of the client's certificate, {GOOD}, is not on tls_allowed_dn_list");
    assert_eq!(refusal_with(&["CN=other", "*,CN=g??d"]), None);
    assert_eq!(refusal_with(&[GOOD]), None);
    assert_eq!(refusal_with(&["CN=good"]).as_deref(), Some(&*refusal));
    assert_eq!(refusal_with(&["*,CN=goo[d]"]).as_deref(), Some(&*refusal));
    assert_eq!(refusal_with(&[]).as_deref(), Some(&*refusal));
}

#[test]
fn without_verification_anyone_gets_in_and_has_a_name_only_if_it_is_proved() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    pki.client("bad", CLIENT);
    pki.client("old", &format!("tls_www_client\nsigning_key\n{PAST}"));
    pki.authority("self", &format!("cn = good\n{CLIENT}"));
    pki.revoke("ca", "bad", "crl_next_update = 30\n", "crl.pem");
    let mut settings = config::Tls {
        verify_clients: false,
        crl_file: Some(pki.path("crl.pem")),
        ..pki.settings()
    };
    let loaded = pki.load(&settings);
    assert_eq!(meet(&loaded, &pki.openssl(Some("good"))).name(), Some(GOOD));
    for client in [None, Some("bad"), Some("old"), Some("self")] {
        assert_eq!(
            meet(&loaded, &pki.openssl(client)).name(),
            None,
            "{client:?}"
        );
    }
    assert_eq!(meet(&loaded, &pki.gnutls(None)).name(), None);
    settings.allowed_names = Some(vec!["CN=other".into()]);
    let loaded = pki.load(&settings);
    assert_eq!(meet(&loaded, &pki.openssl(Some("good"))).name(), None);
    let warnings = loaded.warnings().join("\n");
    assert!(
        warnings.contains("tls_allowed_dn_list keeps nobody out"),
        "{warnings}"
    );
}

#[test]
fn what_a_client_may_be_used_for_binds_if_it_is_critical() {
    let pki = Pki::new();
    let purpose = "signing_key\nencryption_key\nexpiration_days = 100\n";
    pki.client("server-only", &format!("tls_www_server\n{purpose}"));
    pki.client("code", &format!("code_signing_key\n{purpose}"));
    pki.client("authority", &format!("ca\n{CLIENT}"));
    pki.rsa_key("encipher");
    pki.client("encipher", "encryption_key\nexpiration_days = 100\n");
    let loaded = pki.load(&pki.settings());
    for name in ["server-only", "code"] {
        let met = meet(&loaded, &pki.openssl(Some(name)));
        assert!(met.name().is_some(), "{name}");
    }
    let refusal = meet(&loaded, &pki.openssl(Some("authority"))).refusal();
    assert!(refusal.contains("CaUsedAsEndEntity"), "{refusal}");
    let refusal = meet(&loaded, &pki.openssl(Some("encipher"))).refusal();
    assert!(
        refusal.ends_with("CN=encipher must not make digital signatures (key usage)"),
        "{refusal}"
    );
}

#[test]
fn an_authority_that_has_run_out_vouches_for_nobody() {
    let pki = Pki::new();
    pki.authority("ca", &format!("cn = \"CA\"\nca\ncert_signing_key\n{PAST}"));
    pki.client("good", CLIENT);
    let settings = config::Tls {
        sanity_check: false,
        ..pki.settings()
    };
    let refusal = meet(&pki.load(&settings), &pki.lenient("good", &[])).refusal();
    assert!(refusal.contains("expired on 2021-01-01"), "{refusal}");
}

#[test]
fn the_priority_string_decides_about_versions_and_ciphers() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    let cases = [
        (None, "-tls1_2", true),
        (None, "-tls1_3", true),
        (Some("NORMAL:-VERS-ALL:+VERS-TLS1.2"), "-tls1_2", true),
        (Some("NORMAL:-VERS-ALL:+VERS-TLS1.2"), "-tls1_3", false),
        (Some("NORMAL:-VERS-TLS1.2"), "-tls1_2", false),
        (Some("NORMAL:-VERS-TLS1.2"), "-tls1_3", true),
        (Some("NORMAL:-KX-ALL"), "-tls1_2", false),
        (Some("NORMAL:-KX-ALL"), "-tls1_3", true),
    ];
    for (priority, version, works) in cases {
        let settings = config::Tls {
            priority: priority.map(Into::into),
            ..pki.settings()
        };
        let met = meet(&pki.load(&settings), &pki.lenient("good", &[version]));
        assert_eq!(met.server.is_ok(), works, "{priority:?} {version} {met:?}");
        if works {
            assert_eq!(met.name(), Some(GOOD));
        }
    }
}

#[test]
fn what_is_loaded_anew_counts_for_new_clients_unless_it_has_an_error() {
    let pki = Pki::new();
    pki.client("good", CLIENT);
    let settings = pki.settings();
    let certificates = Certificates::new(pki.load(&settings), pki.places());
    let before = certificates.current();
    pki.issue(
        "server",
        &SERVER.replace("cn = \"localhost\"", "cn = \"renewed\""),
    );
    certificates.reload(&settings).unwrap();
    let after = certificates.current();
    assert!(
        before
            .describe()
            .starts_with("TLS with CN=localhost, from ")
    );
    assert!(after.describe().starts_with("TLS with CN=renewed, from "));
    for loaded in [&before, &after] {
        assert_eq!(meet(loaded, &pki.openssl(Some("good"))).name(), Some(GOOD));
    }
    pki.write("server.pem", "");
    certificates.reload(&settings).unwrap_err();
    assert!(Arc::ptr_eq(&certificates.current(), &after));
}

#[test]
fn what_is_not_tls_and_who_goes_away_are_told_apart() {
    let pki = Pki::new();
    let loaded = pki.load(&pki.settings());
    let hello = Client::new("bash").args(["-c", "printf 'hello world\\n' >/dev/tcp/${0/:/\\/}"]);
    let refusal = meet(&loaded, &hello).refusal();
    assert_eq!(
        refusal,
        "TLS handshake failed: what the peer sends is not TLS"
    );
    let gone = Client::new("bash").args(["-c", ": >/dev/tcp/${0/:/\\/}"]);
    let refusal = meet(&loaded, &gone).refusal();
    assert!(refusal.starts_with("the client went away: "), "{refusal}");
}
