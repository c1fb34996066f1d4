//! Certificates for tests: an authority of the test's own, and what it issues.

use anyhow::{Context, Result};
pub use rcgen::SanType;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use time::{Duration, OffsetDateTime};

/// A certificate authority that nobody but the test trusts.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// A certificate that is about to be issued.
#[derive(Debug)]
pub struct Draft<'a> {
    params: CertificateParams,
    key: Option<KeyPair>,
    issuer: Option<&'a Authority>,
}

impl Authority {
    /// An authority with a new key.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?);
        Ok(Authority(
            issuer.context("cannot make a certificate authority")?,
        ))
    }

    /// The authority's own certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for `names`, host names or addresses, of which the first is also the
    /// common name.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str]) -> Result<Certificate> {
        self.draft(names)?.issue()
    }

    /// The same with something special about it: see [`Draft`].
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn draft(&self, names: &[&str]) -> Result<Draft<'_>> {
        Draft::new(names, Some(self))
    }
}

impl Draft<'_> {
    fn new<'a>(names: &[&str], issuer: Option<&'a Authority>) -> Result<Draft<'a>> {
        let common_name = *names.first().context("a certificate needs a name")?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        Ok(Draft {
            params,
            key: None,
            issuer,
        })
    }

    /// A certificate of nobody's but its own issue.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn self_signed(names: &[&str]) -> Result<Draft<'static>> {
        Draft::new(names, None)
    }

    /// It begins and ends so many days from now; days in the past are negative.
    #[must_use]
    pub fn valid(mut self, from: i64, to: i64) -> Self {
        let now = OffsetDateTime::now_utc();
        self.params.not_before = now + Duration::days(from);
        self.params.not_after = now + Duration::days(to);
        self
    }

    /// It claims to be an authority's, as `openssl req -x509` makes it.
    #[must_use]
    pub fn authority(mut self) -> Self {
        self.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    /// It is for TLS clients only.
    #[must_use]
    pub fn for_clients(mut self) -> Self {
        self.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self
    }

    /// It has this alternative name, too.
    #[must_use]
    pub fn named(mut self, name: SanType) -> Self {
        self.params.subject_alt_names.push(name);
        self
    }

    /// It is for this private key (PEM, of any kind) instead of a new one.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn key(mut self, key: &str) -> Result<Self> {
        self.key = Some(KeyPair::from_pem(key).context("cannot read the private key")?);
        Ok(self)
    }

    /// The certificate.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn issue(self) -> Result<Certificate> {
        let key = match self.key {
            Some(key) => key,
            None => KeyPair::generate()?,
        };
        let certificate = match self.issuer {
            Some(authority) => self.params.signed_by(&key, &authority.0)?,
            None => self.params.self_signed(&key)?,
        };
        Ok(Certificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
