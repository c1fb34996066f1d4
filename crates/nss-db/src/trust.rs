//! Trust objects: what a database says about its authorities.

use sha1::{Digest, Sha1};

use crate::attribute::{Attribute, TRUSTED_DELEGATOR};
use crate::certificate::Certificate;
use crate::item::ItemError;
use crate::metadata::{Metadata, Store};
use crate::password::PasswordKey;
use crate::sqlite::Object;

/// A certificate that may issue others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// The certificate's nickname, if it has one.
    pub nickname: Option<String>,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// It is trusted to issue certificates of TLS servers (certutil's `C`).
    pub for_servers: bool,
    /// It is trusted to issue certificates of TLS clients (certutil's `T`).
    pub for_clients: bool,
}

/// A trust object. It names its certificate by issuer, serial number and hash.
#[derive(Debug)]
pub(crate) struct Trust(Object);

impl Trust {
    /// What must be read of a trust object.
    pub(crate) const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::ISSUER,
        Attribute::SERIAL_NUMBER,
        Attribute::CERT_SHA1_HASH,
        Attribute::TRUST_SERVER_AUTH,
        Attribute::TRUST_CLIENT_AUTH,
    ];

    pub(crate) fn from_object(object: Object) -> Trust {
        Trust(object)
    }

    /// The authority that it makes of one of these certificates, if it does.
    pub(crate) fn authority(&self, certificates: &[Certificate]) -> Option<TrustedAuthority> {
        let delegates = |attribute| self.0.get(attribute) == Some(&TRUSTED_DELEGATOR);
        let for_servers = delegates(Attribute::TRUST_SERVER_AUTH);
        let for_clients = delegates(Attribute::TRUST_CLIENT_AUTH);
        if !for_servers && !for_clients {
            return None;
        }
        let certificate = certificates
            .iter()
            .find(|certificate| self.is_of(certificate))?;
        Some(TrustedAuthority {
            nickname: certificate.nickname.clone(),
            der: certificate.der.clone(),
            for_servers,
            for_clients,
        })
    }

    fn is_of(&self, certificate: &Certificate) -> bool {
        self.0.get(Attribute::ISSUER) == Some(&certificate.issuer)
            && self.0.get(Attribute::SERIAL_NUMBER) == Some(&certificate.serial_number)
            && self
                .0
                .get(Attribute::CERT_SHA1_HASH)
                .is_none_or(|hash| hash == Sha1::digest(&certificate.der).as_slice())
    }

    /// Whether everything that makes an authority was written by someone with the password.
    pub(crate) fn authenticate(
        &self,
        metadata: &Metadata,
        key: &PasswordKey,
    ) -> Result<(), ItemError> {
        let guarded = [
            Attribute::CERT_SHA1_HASH,
            Attribute::TRUST_SERVER_AUTH,
            Attribute::TRUST_CLIENT_AUTH,
        ];
        for attribute in guarded {
            if let Some(value) = self.0.get(attribute) {
                metadata.authenticate(key, Store::Certificates, self.0.id, attribute, value)?;
            }
        }
        Ok(())
    }
}
