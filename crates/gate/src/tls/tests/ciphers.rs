//! Which ciphers are negotiated, and lists that ask for others.

use super::*;

#[test]
fn ciphers_of_both_lists_are_what_is_negotiated() {
    let authority = Authority::new("CA").unwrap();
    let issued = authority.issue(&["pmcd.example"]).unwrap();
    let none = "!DEFAULT";
    let suite = |tls12: Option<&str>, tls13: Option<&str>| {
        let mut server = Side::new(Some(&issued), &[]);
        let (tls12, tls13) = (
            tls12.map(|list| ("12", list)),
            tls13.map(|list| ("13", list)),
        );
        server.ciphers = Ciphers::parse(tls12, tls13).unwrap();
        let client = Side::new(None, &[&authority.certificate()]).client(STRICT);
        let met = meet(server.server(ClientCertificates::Unasked), client);
        met.fine().suite.unwrap()
    };
    assert_eq!(suite(None, None), "TLS13_AES_256_GCM_SHA384");
    assert_eq!(
        suite(
            None,
            Some("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256")
        ),
        "TLS13_CHACHA20_POLY1305_SHA256"
    );
    assert_eq!(
        suite(None, Some("ALL,!TLS_AES_256_GCM_SHA384")),
        "TLS13_AES_128_GCM_SHA256"
    );
    assert_eq!(
        suite(
            Some("ECDHE-ECDSA-AES128-GCM-SHA256:!MEDIUM:!aNULL"),
            Some(none)
        ),
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    );
    assert_eq!(
        suite(
            Some("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 HIGH"),
            Some(none)
        ),
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    );
    assert_eq!(
        suite(Some("DEFAULT:!MEDIUM"), Some(none)),
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    );
    assert_eq!(
        suite(
            Some("HIGH:!ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"),
            Some(none)
        ),
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    );
}

#[test]
fn ciphers_that_do_not_exist_here_are_named() {
    let error = |tls12: Option<&str>, tls13: Option<&str>| {
        let (tls12, tls13) = (
            tls12.map(|list| ("tls-ciphers", list)),
            tls13.map(|list| ("tls-ciphersuites", list)),
        );
        Ciphers::parse(tls12, tls13).unwrap_err().to_string()
    };
    assert_eq!(
        error(Some("HIGH:RC4-SHA"), None),
        "tls-ciphers: \"RC4-SHA\" is not supported (there are: ECDHE-ECDSA-AES256-GCM-SHA384, \
         ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-CHACHA20-POLY1305, \
         ECDHE-RSA-AES256-GCM-SHA384, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305, \
         DEFAULT)"
    );
    // A suite of the other version, a class, an operator that OpenSSL has.
    for list in [
        "TLS_AES_256_GCM_SHA384",
        "RC4",
        "+HIGH",
        "@STRENGTH",
        "!HI",
        "kRSA+AES",
    ] {
        assert!(
            error(Some(list), None).contains("is not supported"),
            "{list}"
        );
    }
    assert!(error(None, Some("ECDHE-RSA-AES256-GCM-SHA384")).starts_with("tls-ciphersuites: "));
    assert_eq!(
        error(Some("!ALL"), Some("ALL:!HIGH")),
        "tls-ciphers, tls-ciphersuites: no cipher is left for TLS 1.2, and none for TLS 1.3"
    );
}

#[test]
fn sides_without_a_cipher_or_version_in_common_are_told() {
    let authority = Authority::new("CA").unwrap();
    let issued = authority.issue(&["pmcd.example"]).unwrap();
    let meet_with = |server_lists: (&str, &str), client_lists: (&str, &str)| {
        let parse = |lists: (&str, &str)| {
            Ciphers::parse(Some(("12", lists.0)), Some(("13", lists.1))).unwrap()
        };
        let mut server = Side::new(Some(&issued), &[]);
        server.ciphers = parse(server_lists);
        let mut client = Side::new(None, &[&authority.certificate()]);
        client.ciphers = parse(client_lists);
        meet(
            server.server(ClientCertificates::Unasked),
            client.client(STRICT),
        )
    };
    let met = meet_with(("!ALL", "ALL"), ("ALL", "!ALL"));
    assert!(
        met.server_says().contains("version of TLS"),
        "{}",
        met.server_says()
    );
    assert!(
        met.client_says().contains("version of TLS"),
        "{}",
        met.client_says()
    );
    let (one, other) = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384");
    let met = meet_with(("!ALL", one), ("!ALL", other));
    assert_eq!(
        met.server_says(),
        "there is no cipher that both sides accept"
    );
    assert!(
        met.client_says().contains("no cipher"),
        "{}",
        met.client_says()
    );
}
