//! A certificate chain and its private key: what a daemon shows of itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::CertifiedKey;
use sec1::{EcParameters, EcPrivateKey};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use zeroize::Zeroizing;

use super::certificate::{Certificate, EXPIRY_WARNING, now, shown_span, shown_time};
use super::ciphers::provider;
use super::error::{TlsError, TlsProblem};
use super::file;

/// `secp256r1` and `secp384r1` (RFC 5480, section 2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A certificate chain and its private key, which belong together.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    subject: String,
    /// Both counted from 1970. The end is that of the certificate of the chain that ends first.
    begins: Duration,
    ends: Duration,
    /// Whose end that is, where it is not the first certificate's.
    first_to_end: Option<String>,
}

impl Identity {
    /// Reads a certificate chain, the daemon's own certificate first, and its private key
    /// (PKCS #8, PKCS #1 or SEC 1) from PEM files; both may be the same file. `user` is who the
    /// daemon runs as: it or root must own the key, and others must have no access to it.
    ///
    /// # Errors
    /// [`TlsError`] with the file that is at fault.
    pub fn from_pem_files(chain: &Path, key: &Path, user: u32) -> Result<Identity, TlsError> {
        let certificates = read_chain(chain)?;
        Identity::of_files(chain, certificates, key, read_key(key, user)?)
    }

    /// The same, but where both files are at fault, both are told.
    ///
    /// # Errors
    /// One [`TlsError`] or two, each with the file that is at fault.
    pub fn from_pem_files_or_all_errors(
        chain: &Path,
        key: &Path,
        user: u32,
    ) -> Result<Identity, Vec<TlsError>> {
        match (read_chain(chain), read_key(key, user)) {
            (Ok(certificates), Ok(secret)) => {
                Identity::of_files(chain, certificates, key, secret).map_err(|error| vec![error])
            }
            (certificates, secret) => {
                Err(certificates.err().into_iter().chain(secret.err()).collect())
            }
        }
    }

    fn of_files(
        chain: &Path,
        certificates: Vec<CertificateDer<'static>>,
        key: &Path,
        secret: PrivateKeyDer<'static>,
    ) -> Result<Identity, TlsError> {
        let (place, key_place) = (chain.display().to_string(), key.display().to_string());
        Identity::new(&place, certificates, &key_place, secret)
    }

    /// Takes a certificate chain and a private key (PKCS #8), each in DER, from `place`, which
    /// errors will name.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used or do not belong together.
    pub fn from_der(place: &str, chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Identity, TlsError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivatePkcs8KeyDer::from(key).clone_key();
        Identity::new(place, chain, place, PrivateKeyDer::from(key))
    }

    fn new(
        place: &str,
        chain: Vec<CertificateDer<'static>>,
        key_place: &str,
        key: PrivateKeyDer<'static>,
    ) -> Result<Identity, TlsError> {
        let parsed = parse(&chain).map_err(|problem| problem.at(place))?;
        let Some((first, issuers)) = parsed.split_first() else {
            return Err(TlsProblem::NoCertificate.at(place));
        };
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| TlsProblem::UnsupportedKey.at(key_place))?;
        let key = CertifiedKey::new(chain, key);
        let subject = first.subject();
        match key.keys_match() {
            // The provider cannot tell for every kind of key.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let certificate = format!("{subject} in {place}");
                return Err(TlsProblem::Mismatch(certificate).at(key_place));
            }
        }
        let next = issuers.iter().min_by_key(|issuer| issuer.ends());
        let sooner = next.filter(|issuer| issuer.ends() < first.ends());
        Ok(Identity {
            key: Arc::new(key),
            subject,
            begins: first.begins(),
            ends: sooner.unwrap_or(first).ends(),
            first_to_end: sooner.map(Certificate::subject),
        })
    }

    /// The distinguished name of the certificate, for messages.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The certificates in DER, its own first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// When it ends being valid, or when the first of its chain does.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(self.ends)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The same for messages.
    pub fn expires_text(&self) -> String {
        shown_time(self.ends)
    }

    /// What to tell its owner if it is not valid now, or not for longer than [`EXPIRY_WARNING`].
    pub fn expiry_warning(&self) -> Option<String> {
        let now = now();
        let subject = &self.subject;
        let whose = match &self.first_to_end {
            None => format!("the certificate {subject}"),
            Some(issuer) => format!("the certificate {issuer} in the chain of {subject}"),
        };
        let when = shown_time(self.ends);
        if now > self.ends {
            return Some(format!("{whose} expired on {when}: clients will refuse it"));
        }
        if now < self.begins {
            let when = shown_time(self.begins);
            return Some(format!(
                "the certificate {subject} is not valid before {when}: clients will refuse it \
                 (is the clock right?)"
            ));
        }
        let left = self.ends - now;
        (left < EXPIRY_WARNING).then(|| {
            let left = shown_span(left);
            format!("{whose} expires in {left}, on {when}: renew it")
        })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let at = |problem: TlsProblem| problem.at(path.display().to_string());
    let chain = certificates(&file::read(path)?).map_err(at)?;
    if chain.is_empty() {
        return Err(at(TlsProblem::NoCertificate));
    }
    Ok(chain)
}

fn read_key(path: &Path, user: u32) -> Result<PrivateKeyDer<'static>, TlsError> {
    let secret = file::read_secret(path, user)?;
    private_key(&secret).map_err(|problem| problem.at(path.display().to_string()))
}

/// All certificates in a PEM text; other things in it are passed over.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    // The error would show what stands in the file, which may be a key.
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, pem::Error>>()
        .map_err(|_| TlsProblem::BadPem)
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let contains = |sign: &[u8]| text.windows(sign.len()).any(|window| window == sign);
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(PrivateKeyDer::Sec1(key)) if !contains(b"Proc-Type: 4,ENCRYPTED") => {
            Ok(PrivateKeyDer::Sec1(of_full_length(key)))
        }
        Ok(key) if !contains(b"Proc-Type: 4,ENCRYPTED") => Ok(key),
        _ if contains(b"ENCRYPTED") => Err(TlsProblem::SealedKey),
        Err(pem::Error::NoItemsFound) => Err(TlsProblem::NoKey),
        _ => Err(TlsProblem::BadPem),
    }
}

/// GnuTLS writes the number that is the key like any number, with a zero before a first bit that is
/// set and without zeros otherwise; by SEC 1 (RFC 5915, section 3) it has the length of the curve.
fn of_full_length(key: PrivateSec1KeyDer<'static>) -> PrivateSec1KeyDer<'static> {
    let Ok(parsed) = EcPrivateKey::from_der(key.secret_sec1_der()) else {
        return key;
    };
    let length: usize = match parsed.parameters.and_then(EcParameters::named_curve) {
        Some(P256) => 32,
        Some(P384) => 48,
        _ => return key,
    };
    let zeros = parsed.private_key.iter().take_while(|&&byte| byte == 0);
    let digits = &parsed.private_key[zeros.count()..];
    let Some(missing) = length.checked_sub(digits.len()) else {
        return key;
    };
    let mut number = Zeroizing::new(vec![0; length]);
    number[missing..].copy_from_slice(digits);
    let repaired = EcPrivateKey {
        private_key: &number,
        ..parsed
    };
    match repaired.to_der() {
        Ok(der) => der.into(),
        Err(_) => key,
    }
}

fn parse(chain: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, TlsProblem> {
    let parse = |(index, der): (usize, &CertificateDer<'_>)| {
        Certificate::parse(der).map_err(|error| TlsProblem::BadCertificate {
            number: index + 1,
            reason: error.to_string(),
        })
    };
    chain.iter().enumerate().map(parse).collect()
}
