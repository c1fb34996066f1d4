//! The certificates of a run: an authority of its own, and what it issued for all servers here.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use testbed::{Authority, Scratch};

/// A folder with the files.
#[derive(Clone, Debug)]
pub(super) struct Certificates(PathBuf);

impl Certificates {
    /// Fills a folder, in which a proxy finds what it needs whatever user it becomes.
    pub(super) fn make(folder: &Scratch) -> Result<Certificates> {
        let made = Certificates(folder.path().to_owned());
        let authority = Authority::new("the authority of a bench")?;
        let server = authority.issue(&["127.0.0.1"])?;
        folder.write(AUTHORITY, authority.certificate())?;
        folder.write(CERTIFICATE, server.certificate)?;
        made.write_key(&server.key)?;
        let tls_conf = format!(
            "tls-ca-cert-file = {}\ntls-cert-file = {}\ntls-key-file = {}\n",
            made.file(AUTHORITY).display(),
            made.file(CERTIFICATE).display(),
            made.file(KEY).display(),
        );
        folder.write(TLS_CONF, tls_conf)?;
        folder.write(NO_TLS_CONF, "")?;
        Ok(made)
    }

    /// It stays ours: a pmproxy takes a key of root's or of its own user's only.
    fn write_key(&self, key: &str) -> Result<()> {
        let path = self.file(KEY);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(key.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Those in a folder that the bench has filled.
    pub(super) fn at(folder: PathBuf) -> Certificates {
        Certificates(folder)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// The configuration of a pmproxy that takes part in secure channels, or of one that does not.
    pub(super) fn tls_conf(&self, takes_part: bool) -> PathBuf {
        self.file(if takes_part { TLS_CONF } else { NO_TLS_CONF })
    }

    /// A server's end.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>> {
        let certificate: CertificateDer<'static> = read(&self.file(CERTIFICATE))?;
        let key: PrivateKeyDer<'static> = read(&self.file(KEY))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        // Nobody comes twice.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// A client's end.
    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(read::<CertificateDer<'_>>(&self.file(AUTHORITY))?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const TLS_CONF: &str = "tls.conf";
const NO_TLS_CONF: &str = "no-tls.conf";

/// The first thing of its kind in a PEM file.
fn read<T: PemObject>(file: &Path) -> Result<T> {
    T::from_pem_file(file).with_context(|| format!("cannot read {}", file.display()))
}
