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

mod ciphers;
mod files;
mod names;
mod priority;

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
fn what_is_not_tls_is_said_to_be_none() {
    let issued = Authority::new("CA").unwrap().issue(&["pmcd.example"]);
    let server = Side::new(Some(&issued.unwrap()), &[]).server(ClientCertificates::Unasked);
    let mut server = ServerConnection::new(server).unwrap();
    server.read_tls(&mut &b"pmproxy-client 1\n"[..]).unwrap();
    let error = server.process_new_packets().unwrap_err();
    assert_eq!(explain(&error), "what the peer sends is not TLS");
}
