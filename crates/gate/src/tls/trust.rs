//! Whose certificates are accepted: those that go back to a trusted authority, are in force, and were
//! not taken back. What a certificate is meant for is not looked at here.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::{CertRevocationListError, CertificateError, DistinguishedName, Error, OtherError};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use super::authorities::Authorities;
use super::certificate::Certificate;
use super::ciphers::provider;
use super::error::{TlsError, TlsProblem};
use super::revocation::RevocationLists;

/// Authorities and what they have taken back.
#[derive(Debug)]
pub struct Trust {
    authorities: Authorities,
    lists: RevocationLists,
    names: Vec<DistinguishedName>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Trusts `authorities`, as long as they themselves are in force, for what is not in `lists`.
    /// A certificate that no list is about is not taken back. A list counts even if it is out of
    /// date, as it does for GnuTLS.
    pub fn new(authorities: Authorities, lists: RevocationLists) -> Trust {
        Trust {
            names: authorities.roots().subjects(),
            authorities,
            lists,
            algorithms: provider().signature_verification_algorithms,
        }
    }

    /// The authorities.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// What their owner should know of the revocation lists.
    pub fn warnings(&self) -> Vec<String> {
        self.lists.warnings(&self.authorities)
    }

    /// Checks a chain, its end first, as of now.
    ///
    /// # Errors
    /// Why it is not accepted: see [`explain`](super::explain()).
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let Some((first, others)) = chain.split_first() else {
            return Err(Error::NoCertificatesPresented);
        };
        self.verify_at(first, others, UnixTime::now())
    }

    pub(super) fn verify_at(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let end = EndEntityCert::try_from(end).map_err(refusal)?;
        let lists = self.lists.lists();
        end.verify_for_usage(
            self.algorithms.all,
            &self.authorities.roots().roots,
            others,
            now,
            AnyPurpose,
            revocation(&lists),
            Some(&|path: &VerifiedPath<'_>| self.check_anchor(path.anchor(), now)),
        )
        .map(drop)
        .map_err(refusal)
    }

    pub(super) fn names(&self) -> &[DistinguishedName] {
        &self.names
    }

    /// webpki trusts an authority for good; GnuTLS until its certificate ends.
    fn check_anchor(&self, anchor: &TrustAnchor<'_>, now: UnixTime) -> Result<(), webpki::Error> {
        let mut result = Err(webpki::Error::UnknownIssuer);
        for (authority, certificate) in self.authorities.iter() {
            let is_it = authority.subject == anchor.subject
                && authority.subject_public_key_info == anchor.subject_public_key_info;
            if is_it {
                result = in_force(certificate, now);
            }
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

impl Authorities {
    /// Checks the chain that a daemon shows of itself: whoever trusts only these must accept it.
    /// `place` is where it is from, for the error.
    ///
    /// # Errors
    /// [`TlsProblem::NotIssuedHere`] when it does not go back to one of these.
    pub fn vouch_for(&self, chain: &[CertificateDer<'_>], place: &str) -> Result<(), TlsError> {
        let trust = Trust::new(self.clone(), RevocationLists::default());
        let refused = |error: Error| {
            TlsProblem::NotIssuedHere(super::explain(&error).replace("the peer's", "the")).at(place)
        };
        trust.verify(chain).map_err(refused)
    }
}

fn in_force(certificate: &CertificateDer<'_>, time: UnixTime) -> Result<(), webpki::Error> {
    let parsed = Certificate::parse(certificate).map_err(|_| webpki::Error::BadDer)?;
    let at = |since: Duration| UnixTime::since_unix_epoch(since);
    let (not_before, not_after) = (at(parsed.begins()), at(parsed.ends()));
    if time < not_before {
        return Err(webpki::Error::CertNotValidYet { time, not_before });
    }
    if time > not_after {
        return Err(webpki::Error::CertExpired { time, not_after });
    }
    Ok(())
}

fn revocation<'a>(
    lists: &'a [&'a webpki::CertRevocationList<'a>],
) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_status_policy(UnknownStatusPolicy::Allow)
            .build(),
    )
}

/// Lets certificates for every purpose through.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// rustls's word for it, on which the alert depends that the peer gets.
fn refusal(error: webpki::Error) -> Error {
    match error {
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding.into()
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }.into()
        }
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }.into()
        }
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer.into(),
        webpki::Error::CertRevoked => CertificateError::Revoked.into(),
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature.into(),
        webpki::Error::InvalidCrlSignatureForPublicKey => {
            CertRevocationListError::BadSignature.into()
        }
        webpki::Error::IssuerNotCrlSigner => CertRevocationListError::IssuerInvalidForCrl.into(),
        other => CertificateError::Other(OtherError(Arc::new(other))).into(),
    }
}
