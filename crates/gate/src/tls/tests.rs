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

    fn server(&self, clients: ClientCertificates) -> Arc<rustls::ServerConfig> {
        let identity = self.identity.as_ref().unwrap();
        server_config(identity, clients, &self.authorities, &self.ciphers).unwrap()
    }

    fn client(&self, tolerance: Tolerance) -> Arc<rustls::ClientConfig> {
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

fn meet(server: Arc<rustls::ServerConfig>, client: Arc<rustls::ClientConfig>) -> Met {
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
