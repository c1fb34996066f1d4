//! What a certificate says: whose it is, its names, and how long it is valid.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use super::error::TlsProblem;
use super::name;

/// How long before its end a certificate is warned about.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The attribute type of a common name (RFC 4519, section 2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The names of a certificate (in DER) for an access policy: all its common names, then its
/// alternative names, which may be host names, addresses, e-mail addresses and URIs. Whoever
/// issued it vouches for them, so it must have been verified. One that cannot be understood has
/// none.
pub fn names(certificate: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::parse(certificate) else {
        return Vec::new();
    };
    let mut names = certificate.common_names();
    for name in certificate.alternative_names() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What a certificate says, in the form that tolerates what others have got wrong.
#[derive(Debug)]
pub struct Certificate(CertificateInner<Raw>);

/// What a certificate's key is to be used for, if it says so (RFC 5280, section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whoever does not understand it must refuse the certificate.
    pub critical: bool,
    /// Signatures other than those under certificates.
    pub digital_signature: bool,
    /// Enciphering keys.
    pub key_encipherment: bool,
    /// Signatures under certificates.
    pub certificate_signing: bool,
}

/// What a certificate is to be used for, if it says so (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// Whoever does not understand it must refuse the certificate.
    pub critical: bool,
    /// Servers of TLS.
    pub server: bool,
    /// Clients of TLS.
    pub client: bool,
    /// Anything (`anyExtendedKeyUsage`).
    pub any: bool,
    /// Something else.
    pub other: bool,
}

/// `id-kp-serverAuth`, `id-kp-clientAuth` and `anyExtendedKeyUsage` (RFC 5280, section 4.2.1.12).
const SERVER_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// `rsaEncryption` (RFC 8017, appendix C); RSASSA-PSS is for signatures only.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl Certificate {
    /// Takes a certificate in DER.
    ///
    /// # Errors
    /// [`TlsProblem::Malformed`] when it cannot be understood.
    pub fn from_der(der: &[u8]) -> Result<Certificate, TlsProblem> {
        Certificate::parse(der).map_err(|error| TlsProblem::Malformed(error.to_string()))
    }

    pub(super) fn parse(der: &[u8]) -> Result<Certificate, der::Error> {
        CertificateInner::from_der(der).map(Certificate)
    }

    /// The distinguished name as GnuTLS writes it: see
    /// [`distinguished_name`](super::distinguished_name).
    pub fn distinguished_name(&self) -> String {
        let subject = self.0.tbs_certificate().subject();
        let parts = subject.iter_rdn().map(|part| {
            let attributes = part.iter().map(name::attribute);
            attributes.collect::<Vec<String>>().join("+")
        });
        parts.collect::<Vec<String>>().join(",")
    }

    /// When it is valid.
    pub fn validity(&self) -> RangeInclusive<SystemTime> {
        let time = |since: Duration| SystemTime::UNIX_EPOCH.checked_add(since);
        let from = time(self.begins()).unwrap_or(SystemTime::UNIX_EPOCH);
        from..=time(self.ends()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Since when it is valid, for messages.
    pub fn begins_text(&self) -> String {
        shown_time(self.begins())
    }

    /// Until when it is valid, for messages.
    pub fn ends_text(&self) -> String {
        shown_time(self.ends())
    }

    /// Whether it is an authority's, if it says anything of that.
    ///
    /// # Errors
    /// When what it says cannot be understood.
    pub fn is_authority(&self) -> Result<Option<bool>, TlsProblem> {
        let found = self.extension::<BasicConstraints>()?;
        Ok(found.map(|(_, constraints)| constraints.ca))
    }

    /// What its key is for, if it says so.
    ///
    /// # Errors
    /// When what it says cannot be understood.
    pub fn usage(&self) -> Result<Option<Usage>, TlsProblem> {
        let found = self.extension::<KeyUsage>()?;
        Ok(found.map(|(critical, usage)| Usage {
            critical,
            digital_signature: usage.digital_signature(),
            key_encipherment: usage.key_encipherment(),
            certificate_signing: usage.key_cert_sign(),
        }))
    }

    /// What it is for, if it says so.
    ///
    /// # Errors
    /// When what it says cannot be understood.
    pub fn purposes(&self) -> Result<Option<Purposes>, TlsProblem> {
        let found = self.extension::<ExtendedKeyUsage>()?;
        Ok(found.map(|(critical, ExtendedKeyUsage(purposes))| {
            let known = [SERVER_PURPOSE, CLIENT_PURPOSE, ANY_PURPOSE];
            Purposes {
                critical,
                server: purposes.contains(&SERVER_PURPOSE),
                client: purposes.contains(&CLIENT_PURPOSE),
                any: purposes.contains(&ANY_PURPOSE),
                other: purposes.iter().any(|purpose| !known.contains(purpose)),
            }
        }))
    }

    /// Whether keys could be enciphered with its key: with those of elliptic curves they cannot.
    pub fn can_encipher(&self) -> bool {
        let key = self.0.tbs_certificate().subject_public_key_info();
        key.algorithm.oid == RSA
    }

    fn extension<T>(&self) -> Result<Option<(bool, T)>, TlsProblem>
    where
        T: for<'a> Decode<'a, Error = der::Error> + AssociatedOid,
    {
        let certificate = self.0.tbs_certificate();
        certificate
            .get_extension::<T>()
            .map_err(|error| TlsProblem::Malformed(error.to_string()))
    }

    /// The distinguished name, as in RFC 4514, fit for a log line.
    pub(super) fn subject(&self) -> String {
        let subject = self.0.tbs_certificate().subject().to_string();
        subject.chars().flat_map(shown).collect()
    }

    /// It says that it issued itself.
    pub(super) fn is_self_issued(&self) -> bool {
        let certificate = self.0.tbs_certificate();
        certificate.subject() == certificate.issuer()
    }

    /// Since when it is valid, counted from 1970.
    pub(super) fn begins(&self) -> Duration {
        let validity = self.0.tbs_certificate().validity();
        validity.not_before.to_unix_duration()
    }

    /// Until when it is valid, counted from 1970.
    pub(super) fn ends(&self) -> Duration {
        let validity = self.0.tbs_certificate().validity();
        validity.not_after.to_unix_duration()
    }

    fn common_names(&self) -> Vec<String> {
        let subject = self.0.tbs_certificate().subject();
        subject
            .iter()
            .filter(|attribute| attribute.oid == COMMON_NAME)
            .filter_map(|attribute| DirectoryString::try_from(&attribute.value).ok())
            .map(|name| name.value().into_owned())
            .collect()
    }

    pub(super) fn alternative_names(&self) -> Vec<String> {
        let found = self.0.tbs_certificate().get_extension::<SubjectAltName>();
        let names = found.ok().flatten().map(|(_, names)| names.0);
        let names = names.unwrap_or_default();
        names.iter().filter_map(text_of).collect()
    }
}

fn text_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Control characters must not reach a terminal or forge a log line.
fn shown(character: char) -> impl Iterator<Item = char> {
    let escaped = character
        .is_control()
        .then(|| character.escape_default())
        .into_iter()
        .flatten();
    let itself = (!character.is_control()).then_some(character);
    escaped.chain(itself)
}

/// A point in time, counted from 1970, for a message.
pub(super) fn shown_time(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "a time beyond reckoning".into(),
    }
}

/// Now, counted from 1970.
pub(super) fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A time span for a message, in the unit that suits it.
pub(super) fn shown_span(span: Duration) -> String {
    let (hours, days) = (span.as_secs() / 3600, span.as_secs() / 86400);
    match (days, hours) {
        (2.., _) => format!("{days} days"),
        (_, 2..) => format!("{hours} hours"),
        _ => format!("{} minutes", span.as_secs() / 60),
    }
}
