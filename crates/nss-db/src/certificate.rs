//! The certificates of a database: which one a nickname means, and who issued it.

use std::time::Duration;

use der::Decode;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};

use crate::attribute::Attribute;
use crate::sqlite::Object;

/// A certificate in the form that tolerates what others have got wrong.
pub(crate) type Parsed = CertificateInner<Raw>;

/// The longest chain that is followed.
const LONGEST_CHAIN: usize = 16;

/// A certificate as it is stored.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) nickname: Option<String>,
    /// What it has in common with its keys; empty if it has none.
    pub(crate) id: Vec<u8>,
    pub(crate) der: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) serial_number: Vec<u8>,
}

impl Certificate {
    /// What must be read of a certificate.
    pub(crate) const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::LABEL,
        Attribute::ID,
        Attribute::VALUE,
        Attribute::SUBJECT,
        Attribute::ISSUER,
        Attribute::SERIAL_NUMBER,
    ];

    /// `None` for an object without the certificate itself.
    pub(crate) fn from_object(object: &Object) -> Option<Certificate> {
        let copy = |attribute| object.get(attribute).unwrap_or_default().to_vec();
        let nickname = object.get(Attribute::LABEL);
        Some(Certificate {
            nickname: nickname.map(|label| String::from_utf8_lossy(label).into_owned()),
            id: copy(Attribute::ID),
            der: object.get(Attribute::VALUE)?.to_vec(),
            subject: copy(Attribute::SUBJECT),
            issuer: copy(Attribute::ISSUER),
            serial_number: copy(Attribute::SERIAL_NUMBER),
        })
    }

    pub(crate) fn parse(&self) -> Result<Parsed, der::Error> {
        Parsed::from_der(&self.der)
    }

    fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The better, the greater: valid at `now` (time since 1970) before expired or future ones,
    /// and then the newest. NSS ranks the certificates of one nickname like this.
    pub(crate) fn rank(&self, now: Duration) -> (bool, Duration) {
        let Ok(parsed) = self.parse() else {
            return (false, Duration::ZERO);
        };
        let validity = parsed.tbs_certificate().validity();
        let since = validity.not_before.to_unix_duration();
        let until = validity.not_after.to_unix_duration();
        ((since..=until).contains(&now), since)
    }
}

/// The chain from `first` up to a root, or as far as the database knows it.
pub(crate) fn chain<'a>(
    first: &'a Certificate,
    all: &'a [Certificate],
    now: Duration,
) -> Vec<&'a Certificate> {
    let mut chain = vec![first];
    let mut last = first;
    while !last.is_self_issued() && chain.len() < LONGEST_CHAIN {
        let issuer = all
            .iter()
            .filter(|candidate| candidate.subject == last.issuer)
            .filter(|candidate| !chain.iter().any(|known| known.der == candidate.der))
            .filter_map(|candidate| Some((candidate, key_match(last, candidate)?)))
            .max_by_key(|(candidate, key_match)| (*key_match, candidate.rank(now)))
            .map(|(candidate, _)| candidate);
        let Some(issuer) = issuer else { break };
        chain.push(issuer);
        last = issuer;
    }
    chain
}

/// How sure the key identifiers of two certificates make it that one issued the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KeyMatch {
    /// One of them has none.
    Unknown,
    Equal,
}

/// `None` if the issuer has another key than the one that signed the certificate.
fn key_match(certificate: &Certificate, issuer: &Certificate) -> Option<KeyMatch> {
    let wanted = certificate.parse().ok().and_then(|parsed| {
        let tbs = parsed.tbs_certificate();
        let (_, extension) = tbs.get_extension::<AuthorityKeyIdentifier>().ok()??;
        extension.key_identifier
    });
    let found = issuer.parse().ok().and_then(|parsed| {
        let tbs = parsed.tbs_certificate();
        let (_, extension) = tbs.get_extension::<SubjectKeyIdentifier>().ok()??;
        Some(extension.0)
    });
    match (wanted, found) {
        (Some(wanted), Some(found)) if wanted == found => Some(KeyMatch::Equal),
        (Some(_), Some(_)) => None,
        _ => Some(KeyMatch::Unknown),
    }
}
