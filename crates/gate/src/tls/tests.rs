//! Handshakes between two configurations, in memory.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Error, ServerConnection};
use tempfile::TempDir;
use testbed::{Authority, Certificate, Draft, SanType};

use super::*;

/// A folder for the files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn load(issued: &Certificate) -> Result<Identity, TlsError> {
    let files = Files::new();
    let chain = files.write("chain", &issued.certificate, 0o644);
    let key = files.write("key", &issued.key, 0o400);
    Identity::from_pem_files(&chain, &key, me())
}

fn trust(certificates: &[&str]) -> Authorities {
    let files = Files::new();
    Authorities::from_file(&files.write("ca", &certificates.concat(), 0o644)).unwrap()
}

/// One end of a channel, the way it is configured in most tests.
struct Side {
    identity: Option<Identity>,
    authorities: Authorities,
    ciphers: Ciphers,
}

impl Side {
    fn new(identity: Option<&Certificate>, authorities: &[&str]) -> Side {
        Side {
            identity: identity.map(|issued| load(issued).unwrap()),
            authorities: match authorities {
                [] => Authorities::default(),
                some => trust(some),
            },
            ciphers: Ciphers::default(),
        }
    }

    fn server(&self, clients: ClientCertificates) -> Arc<ServerConfig> {
        let identity = self.identity.as_ref().unwrap();
        server_config(identity, clients, &self.authorities, &self.ciphers).unwrap()
    }

    fn client(&self, tolerance: Tolerance) -> Arc<ClientConfig> {
        let identity = self.identity.as_ref();
        client_config(identity, &self.authorities, &self.ciphers, tolerance).unwrap()
    }
}

/// What came of a handshake: what either end says, the first to fail first.
struct Met {
    client: Result<(), Error>,
    server: Result<(), Error>,
    /// The names of the client's certificate.
    client_names: Vec<String>,
    suite: Option<String>,
}

fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Met {
    let name = ServerName::try_from("pmcd.example").unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut results = (Ok(()), Ok(()));
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() && results.1.is_ok() {
            server.read_tls(&mut rest).unwrap();
            results.1 = server.process_new_packets().map(|_| ());
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() && results.0.is_ok() {
            client.read_tls(&mut rest).unwrap();
            results.0 = client.process_new_packets().map(|_| ());
        }
    }
    let shown = server.peer_certificates().and_then(<[_]>::first);
    Met {
        client: results.0,
        server: results.1,
        client_names: shown.map(|der| names(der)).unwrap_or_default(),
        suite: server
            .negotiated_cipher_suite()
            .map(|suite| suite.suite().as_str().unwrap().to_owned()),
    }
}

impl Met {
    fn fine(self) -> Met {
        assert_eq!((&self.client, &self.server), (&Ok(()), &Ok(())));
        self
    }

    fn client_says(&self) -> String {
        explain(self.client.as_ref().unwrap_err())
    }

    fn server_says(&self) -> String {
        explain(self.server.as_ref().unwrap_err())
    }
}

const STRICT: Tolerance = Tolerance {
    bad_name: false,
    self_signed: false,
};

#[test]
fn a_server_with_a_trusted_certificate_for_the_name_is_accepted() {
    let authority = Authority::new("CA").unwrap();
    let issued = authority.issue(&["pmcd.example"]).unwrap();
    let server = Side::new(Some(&issued), &[]);
    let client = Side::new(None, &[&authority.certificate()]);
    let met = meet(
        server.server(ClientCertificates::Unasked),
        client.client(STRICT),
    );
    assert!(met.fine().client_names.is_empty());
}

#[test]
fn a_wrong_name_an_unknown_issuer_and_bad_dates_are_each_told_to_both_sides() {
    let authority = Authority::new("CA").unwrap();
    let stranger = Authority::new("Stranger").unwrap();
    let draft = || authority.draft(&["pmcd.example"]).unwrap();
    let cases = [
        (
            authority.issue(&["a.example", "127.0.0.1"]).unwrap(),
            "the peer's certificate is not for pmcd.example: it is for a.example, 127.0.0.1",
            "it does not accept our certificate (alert BadCertificate)",
        ),
        (
            stranger.issue(&["pmcd.example"]).unwrap(),
            "the peer's certificate was issued by an authority that is not trusted here",
            "it does not trust the issuer of our certificate",
        ),
        (
            draft().valid(-9, -2).issue().unwrap(),
            "the peer's certificate expired on 20",
            "our certificate has expired or is not valid yet",
        ),
        (
            draft().valid(2, 9).issue().unwrap(),
            "the peer's certificate is not valid before 20",
            "our certificate has expired or is not valid yet",
        ),
        (
            draft().for_clients().issue().unwrap(),
            "the peer's certificate is meant for another purpose",
            "it does not accept our certificate",
        ),
    ];
    for (issued, client_says, server_says) in cases {
        let server = Side::new(Some(&issued), &[]).server(ClientCertificates::Unasked);
        let client = Side::new(None, &[&authority.certificate()]).client(STRICT);
        let met = meet(server, client);
        assert!(
            met.client_says().starts_with(client_says),
            "{}",
            met.client_says()
        );
        assert!(
            met.server_says().contains(server_says),
            "{}",
            met.server_says()
        );
    }
}

#[test]
fn without_any_authority_no_server_is_trusted() {
    let issued = Authority::new("CA").unwrap().issue(&["pmcd.example"]);
    let server = Side::new(Some(&issued.unwrap()), &[]).server(ClientCertificates::Unasked);
    let met = meet(server, Side::new(None, &[]).client(STRICT));
    assert!(met.client_says().contains("not trusted here"));
}

#[test]
fn a_client_may_overlook_the_name_or_a_missing_issuer_but_never_the_dates() {
    let authority = Authority::new("CA").unwrap();
    let bad_name = Tolerance {
        bad_name: true,
        ..STRICT
    };
    let self_signed = Tolerance {
        self_signed: true,
        ..STRICT
    };
    let own = |names: &[&str]| Draft::self_signed(names).unwrap();
    let other = authority.issue(&["other.example"]).unwrap();
    let good = own(&["pmcd.example"]).issue().unwrap();
    let authoritative = own(&["pmcd.example"]).authority().issue().unwrap();
    let old = own(&["pmcd.example"]).valid(-9, -2).issue().unwrap();
    let other_own = own(&["other.example"]).issue().unwrap();
    let foreign = Authority::new("Stranger").unwrap();
    let foreign = foreign.issue(&["pmcd.example"]).unwrap();
    let cases = [
        (&other, bad_name, None),
        (&other, self_signed, Some("is not for pmcd.example")),
        (&good, self_signed, None),
        (&good, bad_name, Some("refused|not trusted here")),
        (&good, STRICT, Some("not trusted here")),
        (&authoritative, self_signed, None),
        (&old, self_signed, Some("expired on")),
        (&other_own, self_signed, Some("is not for pmcd.example")),
        (&foreign, self_signed, Some("not trusted here")),
    ];
    for (issued, tolerance, failure) in cases {
        let server = Side::new(Some(issued), &[]).server(ClientCertificates::Unasked);
        let client = Side::new(None, &[&authority.certificate()]).client(tolerance);
        let met = meet(server, client);
        match failure {
            None => drop(met.fine()),
            Some(words) => assert!(
                words
                    .split('|')
                    .any(|word| met.client_says().contains(word)),
                "{}",
                met.client_says()
            ),
        }
    }
}

#[test]
fn a_certificate_that_is_configured_as_an_authority_is_trusted_itself() {
    let draft = || Draft::self_signed(&["pmcd.example"]).unwrap().authority();
    let issued = draft().issue().unwrap();
    let server = Side::new(Some(&issued), &[&issued.certificate]);
    let client = Side::new(Some(&issued), &[&issued.certificate]);
    let met = meet(
        server.server(ClientCertificates::Required),
        client.client(STRICT),
    );
    assert_eq!(met.fine().client_names, ["pmcd.example"]);

    let old = draft().valid(-9, -2).issue().unwrap();
    let server = Side::new(Some(&old), &[]).server(ClientCertificates::Unasked);
    let met = meet(server, Side::new(None, &[&old.certificate]).client(STRICT));
    assert!(met.client_says().contains("expired on"));
}

#[test]
fn client_certificates_are_unasked_welcome_or_required() {
    let authority = Authority::new("CA").unwrap();
    let trusted = authority.certificate();
    let own = authority.issue(&["pmcd.example"]).unwrap();
    let known = authority.draft(&["client"]).unwrap().for_clients();
    let known = known.issue().unwrap();
    let foreign = Authority::new("Stranger").unwrap();
    let foreign = foreign.issue(&["client"]).unwrap();
    let (none, some): (&[&str], &[&str]) = (&[], &["client"]);
    let cases = [
        (ClientCertificates::Unasked, Some(&known), Ok(none)),
        (ClientCertificates::Unasked, Some(&foreign), Ok(none)),
        (ClientCertificates::Welcome, None, Ok(none)),
        (ClientCertificates::Welcome, Some(&known), Ok(some)),
        (
            ClientCertificates::Welcome,
            Some(&foreign),
            Err("not trusted here"),
        ),
        (ClientCertificates::Required, Some(&known), Ok(some)),
        (
            ClientCertificates::Required,
            None,
            Err("the peer has shown no certificate"),
        ),
        (
            ClientCertificates::Required,
            Some(&foreign),
            Err("not trusted here"),
        ),
    ];
    for (wanted, shown, result) in cases {
        let server = Side::new(Some(&own), &[&trusted]).server(wanted);
        let client = Side::new(shown, &[&trusted]).client(STRICT);
        let met = meet(server, client);
        match result {
            Ok(names) => assert_eq!(met.fine().client_names, names),
            Err(words) => {
                assert!(met.server_says().contains(words), "{}", met.server_says());
                let told = met.client_says();
                assert!(told.starts_with("the peer has refused: "), "{told}");
            }
        }
    }
}

#[test]
fn without_authorities_client_certificates_cannot_be_required_and_are_not_asked_for() {
    let authority = Authority::new("CA").unwrap();
    let own = authority.issue(&["pmcd.example"]).unwrap();
    let side = Side::new(Some(&own), &[]);
    let identity = side.identity.as_ref().unwrap();
    let required = ClientCertificates::Required;
    let error = server_config(identity, required, &side.authorities, &side.ciphers).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CN=pmcd.example: client certificates are required, but no authority that issues them is \
         configured"
    );
    // A server that asked would refuse this one.
    let foreign = Draft::self_signed(&["client"]).unwrap().issue().unwrap();
    let client = Side::new(Some(&foreign), &[&authority.certificate()]);
    let met = meet(
        side.server(ClientCertificates::Welcome),
        client.client(STRICT),
    );
    assert!(met.fine().client_names.is_empty());
}

#[test]
fn the_names_of_a_certificate_are_all_of_them() {
    let authority = Authority::new("CA").unwrap();
    let email = SanType::Rfc822Name("ann@b.example".try_into().unwrap());
    let uri = SanType::URI("urn:x:1".try_into().unwrap());
    let draft = authority
        .draft(&["a.example", "*.b.example", "10.0.0.1", "::1"])
        .unwrap();
    let issued = draft.named(email).named(uri).issue().unwrap();
    let identity = load(&issued).unwrap();
    assert_eq!(
        names(&identity.key.cert[0]),
        [
            "a.example",
            "*.b.example",
            "10.0.0.1",
            "::1",
            "ann@b.example",
            "urn:x:1"
        ]
    );
    assert!(names(b"no certificate").is_empty());
}

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

#[test]
fn what_is_not_tls_is_said_to_be_none() {
    let issued = Authority::new("CA").unwrap().issue(&["pmcd.example"]);
    let server = Side::new(Some(&issued.unwrap()), &[]).server(ClientCertificates::Unasked);
    let mut server = ServerConnection::new(server).unwrap();
    server.read_tls(&mut &b"pmproxy-client 1\n"[..]).unwrap();
    let error = server.process_new_packets().unwrap_err();
    assert_eq!(explain(&error), "what the peer sends is not TLS");
}

#[test]
fn keys_of_all_kinds_are_read_in_all_forms() {
    testbed::packages::require("openssl").unwrap();
    let files = Files::new();
    let make = |args: &[&str], name: &str| {
        let path = files.path().join(name);
        let (command, rest) = args.split_at(1);
        let openssl = testbed::Client::new("openssl").args(command).args(["-out"]);
        openssl
            .args([&path])
            .args(rest)
            .run()
            .unwrap()
            .succeeded()
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let rsa = make(&["genrsa", "-traditional", "2048"], "rsa");
    let ec = make(
        &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        "ec",
    );
    let ed = make(&["genpkey", "-algorithm", "ed25519"], "ed");
    for (key, begins) in [
        (&rsa, "-----BEGIN RSA PRIVATE KEY"),
        (&ec, "-----BEGIN EC PRIVATE KEY"),
        (&ed, "-----BEGIN PRIVATE KEY"),
    ] {
        let text = std::fs::read_to_string(key).unwrap();
        assert!(text.starts_with(begins), "{text}");
        let pkcs8 = make(
            &["pkcs8", "-topk8", "-nocrypt", "-in", key.to_str().unwrap()],
            "pkcs8",
        );
        let pkcs8_text = std::fs::read_to_string(&pkcs8).unwrap();
        let draft = Draft::self_signed(&["a"]).unwrap();
        let issued = draft.key(&pkcs8_text).unwrap().issue().unwrap();
        let chain = files.write("chain", &issued.certificate, 0o644);
        for form in [key, &pkcs8] {
            let identity = Identity::from_pem_files(&chain, form, me()).unwrap();
            assert_eq!(identity.subject(), "CN=a");
        }
        std::fs::remove_file(&pkcs8).unwrap();
    }
    for (args, name) in [
        (&["genrsa", "1024"][..], "small"),
        (
            &["ecparam", "-name", "secp521r1", "-genkey", "-noout"],
            "p521",
        ),
    ] {
        let chain = files.path().join("chain");
        let error = Identity::from_pem_files(&chain, &make(args, name), me()).unwrap_err();
        assert!(
            matches!(error.problem, TlsProblem::UnsupportedKey),
            "{error}"
        );
    }
    let sealed = make(
        &[
            "pkcs8",
            "-topk8",
            "-passout",
            "pass:x",
            "-in",
            rsa.to_str().unwrap(),
        ],
        "sealed",
    );
    let old = make(
        &[
            "rsa",
            "-traditional",
            "-aes128",
            "-passout",
            "pass:x",
            "-in",
            rsa.to_str().unwrap(),
        ],
        "old",
    );
    for sealed in [sealed, old] {
        let error = Identity::from_pem_files(&files.path().join("chain"), &sealed, me());
        assert!(error.unwrap_err().to_string().contains("by a passphrase"));
    }
}

#[test]
fn files_of_an_identity_must_be_in_order() {
    let files = Files::new();
    let authority = Authority::new("CA").unwrap();
    let issued = authority.issue(&["pmcd.example"]).unwrap();
    let chain = files.write("chain", &issued.certificate, 0o644);
    let key = files.write("key", &issued.key, 0o400);
    let error = |chain: &Path, key: &Path| {
        let error = Identity::from_pem_files(chain, key, me()).unwrap_err();
        error
            .to_string()
            .replace(&files.path().display().to_string(), "")
    };
    let missing = files.path().join("missing");
    assert_eq!(
        error(&missing, &key),
        "/missing: cannot read it: No such file or directory"
    );
    assert_eq!(
        error(&chain, &missing),
        "/missing: cannot read it: No such file or directory"
    );
    assert_eq!(error(files.path(), &key), ": it is not a plain file");
    assert!(error(&key, &key).starts_with("/key: there is no certificate in it"));
    assert!(
        error(&chain, &files.write("none", "x", 0o400)).starts_with("/none: there is no private")
    );
    let cut = files.write("cut", &issued.key[..80], 0o400);
    assert_eq!(error(&chain, &cut), "/cut: it is not sound PEM");
    assert_eq!(error(&cut, &key), "/cut: it is not sound PEM");
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let junk = files.write("junk", &(issued.certificate.clone() + junk), 0o644);
    assert!(error(&junk, &key).starts_with("/junk: the certificate number 2 in it is malformed"));
    let other = authority.issue(&["pmcd.example"]).unwrap();
    assert_eq!(
        error(&chain, &files.write("other", &other.key, 0o400)),
        "/other: it is not the private key of the certificate CN=pmcd.example in /chain"
    );
    let large = files.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    assert_eq!(
        error(&large, &key),
        "/large: it is larger than 4194304 bytes"
    );
}

#[test]
fn a_private_key_is_nobody_elses_business() {
    let files = Files::new();
    let issued = Authority::new("CA").unwrap().issue(&["a"]).unwrap();
    let chain = files.write("chain", &issued.certificate, 0o644);
    let read = |key: &Path| Identity::from_pem_files(&chain, key, me());
    for mode in [0o400, 0o600, 0o440, 0o640] {
        read(&files.write("good", &issued.key, mode)).unwrap();
        std::fs::remove_file(files.path().join("good")).unwrap();
    }
    for mode in [0o404, 0o401, 0o402, 0o420, 0o644, 0o660] {
        let key = files.write("bad", &issued.key, mode);
        let error = read(&key).unwrap_err().to_string();
        let expected = format!("others may use this private key (mode {mode:04o}): make it 0400");
        assert!(error.contains(&expected), "{error}");
        std::fs::remove_file(&key).unwrap();
    }
    let key = files.write("key", &issued.key, 0o400);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(65534), None).unwrap();
        let error = read(&key).unwrap_err();
        assert!(matches!(
            error.problem,
            TlsProblem::ForeignOwner { owner: 65534, .. }
        ));
        Identity::from_pem_files(&chain, &key, 65534).unwrap();
        std::os::unix::fs::chown(&key, Some(0), None).unwrap();
        Identity::from_pem_files(&chain, &key, 65534).unwrap();
    }
}

#[test]
fn authorities_come_from_a_file_or_a_folder_and_each_counts_once() {
    let [one, two] = ["One", "Two"].map(|name| Authority::new(name).unwrap().certificate());
    let files = Files::new();
    let bundle = files.write("bundle", &format!("{one}{two}{one}"), 0o644);
    assert_eq!(Authorities::from_file(&bundle).unwrap().len(), 2);
    let error = |path: &Path| Authorities::from_file(path).unwrap_err().to_string();
    let empty = files.write("empty", "", 0o644);
    assert!(error(&empty).contains("there is no certificate in it"));
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(error(&files.write("junk", &(one.clone() + junk), 0o644)).contains("number 2"));

    let folder = files.path().join("folder");
    std::fs::create_dir_all(folder.join("below")).unwrap();
    let error = Authorities::from_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("there is no certificate in it"), "{error}");
    std::fs::write(folder.join("one.pem"), &one).unwrap();
    std::os::unix::fs::symlink("one.pem", folder.join("0a1b2c3d.0")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("0a1b2c3d.1")).unwrap();
    std::fs::write(folder.join("junk"), junk).unwrap();
    std::fs::write(folder.join("two.crt"), &two).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), pipe, 0o600.into(), 0).unwrap();
    let found = Authorities::from_folder(&folder).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found.and(trust(&[&one])).len(), 2);
}

#[test]
fn an_identity_warns_before_and_after_its_end() {
    let authority = Authority::new("CA").unwrap();
    let warning = |from, to| {
        let draft = authority.draft(&["a"]).unwrap().valid(from, to);
        load(&draft.issue().unwrap()).unwrap().expiry_warning()
    };
    assert_eq!(warning(-1, 31), None);
    let soon = warning(-1, 30).unwrap();
    assert!(
        soon.starts_with("the certificate CN=a expires in 29 days, on 20"),
        "{soon}"
    );
    let past = warning(-9, -1).unwrap();
    assert!(
        past.starts_with("the certificate CN=a expired on 20"),
        "{past}"
    );
    let future = warning(1, 99).unwrap();
    assert!(future.contains("is not valid before 20"), "{future}");

    let issuer = Draft::self_signed(&["old issuer"]).unwrap();
    let issuer = issuer.valid(-9, 9).issue().unwrap();
    let mut chain = authority
        .draft(&["a"])
        .unwrap()
        .valid(-1, 99)
        .issue()
        .unwrap();
    chain.certificate += &issuer.certificate;
    let identity = load(&chain).unwrap();
    let warning = identity.expiry_warning().unwrap();
    assert!(
        warning.starts_with("the certificate CN=old issuer in the chain of CN=a expires in 8 days"),
        "{warning}"
    );
    assert!(identity.expires() > SystemTime::now());
}
