//! Lists of certificates that their authorities have taken back.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::certificate::Raw;
use x509_cert::crl::CertificateList;
use x509_cert::der::{self, Decode, Encode};
use x509_cert::time::Time;

use super::authorities::Authorities;
use super::certificate::{now, shown_time};
use super::error::{TlsError, TlsProblem};
use super::file;

/// Revocation lists. The default is none.
#[derive(Debug, Default)]
pub struct RevocationLists {
    /// Of those of one issuer only the first one counts: it is the newest.
    lists: Vec<CertRevocationList<'static>>,
    abouts: Vec<About>,
    place: String,
}

/// What a list says of itself.
#[derive(Debug)]
struct About {
    issuer: String,
    issuer_der: Vec<u8>,
    /// Both counted from 1970.
    issued: Duration,
    next: Option<Duration>,
}

impl RevocationLists {
    /// Reads all lists of a PEM file.
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read, has no list, or has one that is malformed or of
    /// version 1, without the time of the next one, or of changes only.
    pub fn from_file(path: &Path) -> Result<RevocationLists, TlsError> {
        let place = path.display().to_string();
        let at = |problem: TlsProblem| problem.at(&place);
        let text = file::read(path)?;
        let found: Vec<CertificateRevocationListDer<'static>> =
            CertificateRevocationListDer::pem_slice_iter(&text)
                .collect::<Result<_, _>>()
                .map_err(|_| at(TlsProblem::BadPem))?;
        if found.is_empty() {
            return Err(at(TlsProblem::NoRevocationList));
        }
        let mut lists = Vec::new();
        for (index, list) in found.iter().enumerate() {
            let number = index + 1;
            let bad = |reason| at(TlsProblem::BadRevocationList { number, reason });
            let parsed =
                OwnedCertRevocationList::from_der(list).map_err(|error| bad(why(error)))?;
            let about = About::new(list).map_err(|error| bad(error.to_string()))?;
            lists.push((about, parsed.into()));
        }
        lists.sort_by_key(|(about, _)| std::cmp::Reverse(about.issued));
        let (abouts, lists) = lists.into_iter().unzip();
        Ok(RevocationLists {
            lists,
            abouts,
            place,
        })
    }

    /// What their owner should know: which are out of date, and which are of no authority that is
    /// trusted. Those that are out of date count nevertheless.
    pub fn warnings(&self, authorities: &Authorities) -> Vec<String> {
        let place = &self.place;
        let mut warnings = Vec::new();
        for about in &self.abouts {
            let issuer = &about.issuer;
            if !authorities.issue_as(&about.issuer_der) {
                warnings.push(format!(
                    "{place}: the revocation list of {issuer} is of no use: no trusted authority \
                     has this name"
                ));
            }
            if let Some(next) = about.next.filter(|next| *next < now()) {
                warnings.push(format!(
                    "{place}: the revocation list of {issuer} is out of date since {}: renew it",
                    shown_time(next)
                ));
            }
        }
        warnings
    }

    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().collect()
    }
}

impl About {
    fn new(list: &[u8]) -> der::Result<About> {
        let list = CertificateList::<Raw>::from_der(list)?.tbs_cert_list;
        Ok(About {
            issuer: list.issuer.to_string().escape_debug().to_string(),
            issuer_der: list.issuer.to_der()?,
            issued: list.this_update.to_unix_duration(),
            next: list.next_update.map(Time::to_unix_duration),
        })
    }
}

fn why(error: webpki::Error) -> String {
    match error {
        webpki::Error::UnsupportedDeltaCrl => "it has changes only, not the whole list".into(),
        webpki::Error::UnsupportedIndirectCrl => {
            "it is about certificates of other authorities".into()
        }
        webpki::Error::UnsupportedCrlVersion | webpki::Error::BadDer => {
            "it is malformed, or it is of version 1, as openssl makes it without crl_extensions"
                .into()
        }
        other => format!("it is malformed ({other:?})"),
    }
}
