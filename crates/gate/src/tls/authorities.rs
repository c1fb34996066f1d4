//! The authorities whose certificates are trusted: those that were configured, and no others.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::error::{TlsError, TlsProblem};
use super::file;
use super::identity::certificates;

/// Files of a folder that are looked at; the folder of a Debian system has 400.
const MOST_FILES: usize = 10_000;

/// Authorities whose certificates are trusted. The default is none.
#[derive(Clone, Debug)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Default for Authorities {
    fn default() -> Authorities {
        Authorities {
            certificates: Vec::new(),
            roots: Arc::new(RootCertStore::empty()),
        }
    }
}

impl Authorities {
    /// Reads all certificates of a PEM file.
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read, has none, or has one that is malformed.
    pub fn from_file(path: &Path) -> Result<Authorities, TlsError> {
        let at = |problem: TlsProblem| problem.at(path.display().to_string());
        let found = certificates(&file::read(path)?).map_err(at)?;
        if found.is_empty() {
            return Err(at(TlsProblem::NoCertificate));
        }
        let mut authorities = Authorities::default();
        authorities.add_all(found).map_err(at)?;
        Ok(authorities)
    }

    /// Reads the certificates of all plain PEM files in a folder, such as the ones that OpenSSL
    /// finds by hash. Files with anything else are passed over.
    ///
    /// # Errors
    /// [`TlsError`] when the folder cannot be read or has no certificate at all.
    pub fn from_folder(path: &Path) -> Result<Authorities, TlsError> {
        let at = |problem: TlsProblem| problem.at(path.display().to_string());
        let unreadable = |error| at(TlsProblem::Unreadable(error));
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            if files.len() == MOST_FILES {
                return Err(at(TlsProblem::TooMany(MOST_FILES)));
            }
            files.push(entry.map_err(unreadable)?.path());
        }
        files.sort_unstable();
        let mut authorities = Authorities::default();
        for file in files {
            let found = file::read(&file).ok();
            let found = found.and_then(|text| certificates(&text).ok());
            for certificate in found.into_iter().flatten() {
                // What cannot be understood cannot be an authority.
                let _ = authorities.add(certificate);
            }
        }
        if authorities.is_empty() {
            return Err(at(TlsProblem::NoCertificate));
        }
        Ok(authorities)
    }

    /// Takes certificates in DER from `place`, which errors will name.
    ///
    /// # Errors
    /// [`TlsError`] when one is malformed.
    pub fn from_der(
        place: &str,
        certificates: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Authorities, TlsError> {
        let mut authorities = Authorities::default();
        let certificates = certificates.into_iter().map(CertificateDer::from);
        authorities
            .add_all(certificates)
            .map_err(|problem| problem.at(place))?;
        Ok(authorities)
    }

    /// These and the others.
    #[must_use]
    pub fn and(mut self, others: Authorities) -> Authorities {
        for certificate in others.certificates {
            // It was accepted before.
            let _ = self.add(certificate);
        }
        self
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Their certificates, in DER.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Each as it vouches for others, with its certificate.
    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (&TrustAnchor<'static>, &CertificateDer<'static>)> {
        self.roots.roots.iter().zip(&self.certificates)
    }

    /// Whether one of them issues under this name (in DER).
    pub(super) fn issue_as(&self, name: &[u8]) -> bool {
        let mut names = self.roots.subjects().into_iter();
        names.any(|known| known.as_ref() == name)
    }

    pub(super) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Whether this very certificate was configured.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.contains(certificate)
    }

    fn add_all(
        &mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<(), TlsProblem> {
        for (index, certificate) in certificates.into_iter().enumerate() {
            self.add(certificate)
                .map_err(|error| TlsProblem::BadCertificate {
                    number: index + 1,
                    reason: error.to_string(),
                })?;
        }
        Ok(())
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), rustls::Error> {
        // A hashed folder has each one at least twice.
        if !self.contains(&certificate) {
            Arc::make_mut(&mut self.roots).add(certificate.clone())?;
            self.certificates.push(certificate);
        }
        Ok(())
    }
}
