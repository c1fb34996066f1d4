//! Priority strings of GnuTLS.

use super::*;

/// The suites, then the groups, then whether the server's order counts.
fn meant(text: &str) -> Result<(Vec<String>, String, bool), String> {
    let ciphers = Ciphers::from_priority("p", text).map_err(|error| error.to_string())?;
    let name = |suite: &rustls::SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default().to_owned();
        name.replace("TLS_", "").replace("_WITH", "")
    };
    let groups = ciphers
        .groups
        .iter()
        .map(|group| format!("{:?}", group.name()));
    let groups: Vec<String> = groups.collect();
    Ok((
        ciphers.suites.iter().map(name).collect(),
        groups.join(" "),
        ciphers.server_order,
    ))
}

const TLS13: [&str; 3] = [
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS13_AES_128_GCM_SHA256",
];

#[test]
fn words_of_gnutls_choose_versions_ciphers_and_exchanges() {
    let suites = |text: &str| meant(text).unwrap().0;
    assert_eq!(suites("NORMAL")[..3], TLS13);
    assert_eq!(suites("NORMAL").len(), 9);
    for same in [
        "SECURE128",
        "PFS",
        "normal",
        "@SYSTEM",
        "@LIBVIRT,SYSTEM",
        "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1",
        "NORMAL:-3DES-CBC:-ARCFOUR-128:!MD5:-SIGN-RSA-SHA1:-DHE-RSA:-RSA:-VERS-DTLS-ALL",
        "NORMAL:%COMPAT:%SAFE_RENEGOTIATION:%NO_TICKETS:+COMP-NULL:+SIGN-ALL:+CTYPE-X509",
        "NONE:+VERS-ALL:+CIPHER-ALL:+KX-ALL:+MAC-ALL:+GROUP-ALL:+SIGN-ALL",
        "NONE:+NORMAL",
    ] {
        assert_eq!(meant(same), meant("NORMAL"), "{same}");
    }
    assert_eq!(suites("NORMAL:-KX-ALL"), TLS13);
    assert_eq!(suites("NORMAL:-VERS-ALL:+VERS-TLS1.3"), TLS13);
    assert_eq!(
        suites("NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2"),
        suites("NORMAL")[3..]
    );
    assert_eq!(suites("PERFORMANCE")[0], "TLS13_AES_128_GCM_SHA256");
    assert_eq!(
        suites("NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:-ECDHE-RSA"),
        [
            "ECDHE_ECDSA_AES_128_GCM_SHA256",
            "ECDHE_ECDSA_AES_256_GCM_SHA384"
        ]
    );
    assert_eq!(
        suites("NORMAL:-AES-256-GCM:+AES-256-GCM")[..3],
        [TLS13[1], TLS13[2], TLS13[0]]
    );
    assert_eq!(suites("SECURE256:-VERS-TLS1.2"), TLS13[..2]);
    assert_eq!(
        suites("SUITEB128"),
        [
            "ECDHE_ECDSA_AES_256_GCM_SHA384",
            "ECDHE_ECDSA_AES_128_GCM_SHA256"
        ]
    );
}

#[test]
fn words_of_gnutls_choose_groups_and_whose_order_counts() {
    let groups = |text: &str| meant(text).unwrap().1;
    assert_eq!(groups("NORMAL"), "secp256r1 secp384r1 X25519");
    assert_eq!(groups("NORMAL:-GROUP-ALL:+GROUP-X25519"), "X25519");
    assert_eq!(groups("NORMAL:-CURVE-ALL:+CURVE-SECP384R1"), "secp384r1");
    assert_eq!(
        groups("NORMAL:-GROUP-SECP256R1:-GROUP-FFDHE2048"),
        "secp384r1 X25519"
    );
    assert_eq!(groups("SECURE192"), "secp384r1");
    assert!(!meant("NORMAL").unwrap().2);
    assert!(meant("NORMAL:%SERVER_PRECEDENCE").unwrap().2);
}

#[test]
fn what_rustls_cannot_do_is_an_error_that_names_the_word() {
    let lacks = "rustls does not have it; leave it out";
    let unknown = "GnuTLS has no such word";
    let cases = [
        ("NORMAL:+VERS-TLS1.1", "+VERS-TLS1.1", lacks),
        ("NORMAL:+3DES-CBC", "+3DES-CBC", lacks),
        ("NORMAL:+aes-256-cbc", "+aes-256-cbc", lacks),
        ("NORMAL:+DHE-RSA", "+DHE-RSA", lacks),
        ("NORMAL:+GROUP-SECP521R1", "+GROUP-SECP521R1", lacks),
        ("NORMAL:+SIGN-RSA-SHA1", "+SIGN-RSA-SHA1", lacks),
        ("NORMAL:+NONSENSE", "+NONSENSE", unknown),
        ("SECURE128:-SECURE256", "-SECURE256", unknown),
        ("SYSTEM", "SYSTEM", unknown),
        ("", "", unknown),
        (
            "NORMAL:",
            "",
            "a word after the first begins with +, -, ! or %",
        ),
        (
            "NORMAL:VERS-TLS1.2",
            "VERS-TLS1.2",
            "a word after the first begins with +, -, ! or %",
        ),
        (
            "NORMAL:-SIGN-ALL",
            "-SIGN-ALL",
            "rustls cannot do without single algorithms for signatures",
        ),
        (
            "NORMAL:%PROFILE_HIGH",
            "%PROFILE_HIGH",
            "certificates are checked by rustls, whose rules cannot be changed",
        ),
        (
            "NORMAL:%FORCE_ETM",
            "%FORCE_ETM",
            "rustls cannot be told this",
        ),
        (
            "NORMAL:-CTYPE-X509",
            "-CTYPE-X509",
            "rustls has no certificates but X.509",
        ),
        (
            "@MINE",
            "@MINE",
            "of the system's settings, only @SYSTEM and @LIBVIRT are known here",
        ),
    ];
    for (text, word, reason) in cases {
        let expected = format!("p: {word:?} in the priority string cannot be honoured: {reason}");
        assert_eq!(meant(text).unwrap_err(), expected, "{text}");
    }
    let empty = [
        ("NONE", "no version of TLS"),
        ("+AES-128-GCM", "no version of TLS"),
        ("NORMAL:-VERS-ALL", "no version of TLS"),
        ("NORMAL:-CIPHER-ALL", "no cipher"),
        ("NORMAL:-GROUP-ALL", "no group for the key exchange"),
        ("NORMAL:-MAC-ALL", "no MAC (rustls has AEAD)"),
        ("NORMAL:-VERS-TLS1.3:-KX-ALL", "no key exchange"),
    ];
    for (text, missing) in empty {
        let expected = format!("p: the priority string leaves {missing}");
        assert_eq!(meant(text).unwrap_err(), expected, "{text}");
    }
}
