//! A database with its password: identities, and authorities whose trust is authentic.

use std::time::{Duration, SystemTime};

use crate::attribute::Attribute;
use crate::certificate::{Certificate, chain};
use crate::database::NssDatabase;
use crate::error::NssError;
use crate::item::ItemError;
use crate::password::PasswordKey;
use crate::private_key::{KeyError, PrivateKey, SealedKey};
use crate::sqlite::Object;
use crate::trust::TrustedAuthority;

/// NSS puts this before the nicknames of its own database where it names the token too.
const TOKEN: &str = "NSS Certificate DB:";

/// A certificate with its chain and its private key: what a TLS server or client shows.
#[derive(Debug)]
pub struct Identity {
    /// The certificate itself, then its issuers as far as the database has them, up to and with
    /// the root; each in DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key of the first certificate.
    pub key: PrivateKey,
}

/// A database that was opened with its password.
#[derive(Debug)]
pub struct Unlocked<'a> {
    database: &'a NssDatabase,
    /// Missing where no password, nor none, was ever set: then there are no keys.
    key: Option<PasswordKey>,
}

impl<'a> Unlocked<'a> {
    pub(crate) fn new(database: &'a NssDatabase, key: Option<PasswordKey>) -> Unlocked<'a> {
        Unlocked { database, key }
    }

    /// The identity with a nickname. Of several certificates with that nickname (renewed ones keep
    /// it) it is the newest that is valid now and has a private key.
    ///
    /// # Errors
    /// [`NssError::UnknownNickname`], [`NssError::NoPrivateKey`],
    /// [`NssError::UnsupportedAlgorithm`] for other keys than RSA and the curves P-256, P-384 and
    /// P-521, or [`NssError::Corrupt`].
    pub fn identity(&self, nickname: &str) -> Result<Identity, NssError> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (certificate, object, password) = self.pick(nickname, now)?;
        let parsed = certificate
            .parse()
            .map_err(|error| self.corrupt_certificate(nickname, &error))?;
        let sealed = SealedKey {
            object,
            metadata: &self.database.metadata,
            password,
        };
        let key = sealed
            .open(parsed.tbs_certificate().subject_public_key_info())
            .map_err(|error| self.key_error(nickname, error))?;
        let chain = chain(certificate, &self.database.certificates, now)
            .into_iter()
            .map(|certificate| certificate.der.clone())
            .collect();
        Ok(Identity { chain, key })
    }

    /// The certificates that are trusted to issue others.
    ///
    /// # Errors
    /// [`NssError::TrustNotAuthentic`] when one was made trusted without the password.
    pub fn trusted_authorities(&self) -> Result<Vec<TrustedAuthority>, NssError> {
        let mut authorities = Vec::new();
        for trust in &self.database.trust {
            let Some(authority) = trust.authority(&self.database.certificates) else {
                continue;
            };
            if let Some(key) = &self.key {
                trust
                    .authenticate(&self.database.metadata, key)
                    .map_err(|error| self.trust_error(&authority, error))?;
            }
            authorities.push(authority);
        }
        Ok(authorities)
    }

    /// The best certificate with this nickname, with its private key and what opens that.
    fn pick(
        &self,
        nickname: &str,
        now: Duration,
    ) -> Result<(&'a Certificate, &'a Object, &PasswordKey), NssError> {
        let named = self.named(nickname);
        if named.is_empty() {
            let existing = self.database.nicknames();
            return Err(NssError::UnknownNickname {
                folder: self.database.folder().into(),
                nickname: nickname.into(),
                existing: existing.into_iter().map(str::to_owned).collect(),
            });
        }
        let with_key = named
            .into_iter()
            .filter_map(|certificate| Some((certificate, self.private_key_of(certificate)?)))
            .max_by_key(|(certificate, _)| certificate.rank(now));
        match (with_key, &self.key) {
            (Some((certificate, object)), Some(key)) => Ok((certificate, object, key)),
            _ => Err(NssError::NoPrivateKey {
                folder: self.database.folder().into(),
                nickname: nickname.into(),
            }),
        }
    }

    fn named(&self, nickname: &str) -> Vec<&'a Certificate> {
        let with = |nickname: &str| -> Vec<&'a Certificate> {
            self.database
                .certificates
                .iter()
                .filter(|certificate| certificate.nickname.as_deref() == Some(nickname))
                .collect()
        };
        match (with(nickname), nickname.strip_prefix(TOKEN)) {
            (found, Some(rest)) if found.is_empty() => with(rest),
            (found, _) => found,
        }
    }

    fn private_key_of(&self, certificate: &Certificate) -> Option<&'a Object> {
        if certificate.id.is_empty() {
            return None;
        }
        self.database
            .private_keys
            .iter()
            .find(|object| object.get(Attribute::ID) == Some(&certificate.id))
    }

    fn corrupt_certificate(&self, nickname: &str, error: &der::Error) -> NssError {
        NssError::Corrupt {
            path: self.database.certificates_file(),
            reason: format!("the certificate {nickname:?} is malformed: {error}"),
        }
    }

    fn key_error(&self, nickname: &str, error: KeyError) -> NssError {
        let path = self.database.keys_file();
        let what = format!("the private key of {nickname:?}");
        match error {
            KeyError::Item(error) => NssError::item(path, &what, error),
            KeyError::UnsupportedAlgorithm(oid) => {
                NssError::item(path, &what, ItemError::UnsupportedAlgorithm(oid))
            }
            error => NssError::Corrupt {
                path,
                reason: format!("{what}: {error}"),
            },
        }
    }

    fn trust_error(&self, authority: &TrustedAuthority, error: ItemError) -> NssError {
        let path = self.database.certificates_file();
        let nickname = authority.nickname.clone().unwrap_or_default();
        match error {
            ItemError::NotAuthentic => NssError::TrustNotAuthentic {
                path,
                folder: self.database.folder().into(),
                nickname,
            },
            error => NssError::item(path, &format!("the trust in {nickname:?}"), error),
        }
    }
}
