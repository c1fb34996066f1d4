//! Private keys: put together from the attributes that NSS seals one by one.

use std::fmt;

use der::asn1::{BitString, ObjectIdentifier, OctetStringRef, UintRef};
use der::{AnyRef, Decode, Encode, SecretDocument};
use pkcs1::{RsaPrivateKey, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

use crate::attribute::Attribute;
use crate::item::{EncryptedItem, ItemError};
use crate::metadata::{Metadata, Store};
use crate::password::PasswordKey;
use crate::sqlite::Object;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The curves that are supported, with the lengths of their private keys.
const CURVES: &[(ObjectIdentifier, usize)] = &[
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), 32), // P-256
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), 48),        // P-384
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), 66),        // P-521
];

/// A private key. Its memory is wiped when it is dropped, and it never shows itself.
pub struct PrivateKey(SecretDocument);

impl PrivateKey {
    /// The key in PKCS #8, DER. Whoever copies it must wipe the copy.
    pub fn pkcs8_der(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// Why a private key cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("its attribute {:#x} is missing", .0.0)]
    Missing(Attribute),
    #[error(transparent)]
    Item(#[from] ItemError),
    #[error("malformed: {0}")]
    Malformed(#[from] der::Error),
    #[error("it is not the key of the certificate")]
    ForeignKey,
    #[error("the algorithm {0} is not supported")]
    UnsupportedAlgorithm(ObjectIdentifier),
}

/// A private key in the database, and what opens it.
#[derive(Debug)]
pub(crate) struct SealedKey<'a> {
    pub(crate) object: &'a Object,
    pub(crate) metadata: &'a Metadata,
    pub(crate) password: &'a PasswordKey,
}

impl SealedKey<'_> {
    /// What must be read of a private key.
    pub(crate) const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::ID,
        Attribute::VALUE,
        Attribute::MODULUS,
        Attribute::PUBLIC_EXPONENT,
        Attribute::PRIVATE_EXPONENT,
        Attribute::PRIME_1,
        Attribute::PRIME_2,
        Attribute::EXPONENT_1,
        Attribute::EXPONENT_2,
        Attribute::COEFFICIENT,
        Attribute::EC_PARAMS,
    ];

    /// Opens the key, whose public half is that of a certificate.
    pub(crate) fn open(&self, public: &SubjectPublicKeyInfoOwned) -> Result<PrivateKey, KeyError> {
        match public.algorithm.oid {
            RSA => self.open_rsa(&public.subject_public_key),
            ELLIPTIC_CURVE => {
                let curve = public.algorithm.parameters.as_ref();
                let curve = curve.ok_or(KeyError::ForeignKey)?.decode_as()?;
                self.open_elliptic_curve(curve, &public.subject_public_key)
            }
            other => Err(KeyError::UnsupportedAlgorithm(other)),
        }
    }

    fn open_rsa(&self, public: &BitString) -> Result<PrivateKey, KeyError> {
        let public = RsaPublicKeyRef::from_der(public.raw_bytes())?;
        let modulus = UintRef::new(self.plain(Attribute::MODULUS)?)?;
        if modulus != public.modulus {
            return Err(KeyError::ForeignKey);
        }
        let private_exponent = self.secret(Attribute::PRIVATE_EXPONENT)?;
        let prime1 = self.secret(Attribute::PRIME_1)?;
        let prime2 = self.secret(Attribute::PRIME_2)?;
        let exponent1 = self.secret(Attribute::EXPONENT_1)?;
        let exponent2 = self.secret(Attribute::EXPONENT_2)?;
        let coefficient = self.secret(Attribute::COEFFICIENT)?;
        let algorithm = AlgorithmIdentifierRef {
            oid: RSA,
            parameters: Some(AnyRef::NULL),
        };
        pkcs8(
            algorithm,
            &RsaPrivateKey {
                modulus,
                public_exponent: UintRef::new(self.plain(Attribute::PUBLIC_EXPONENT)?)?,
                private_exponent: UintRef::new(&private_exponent)?,
                prime1: UintRef::new(&prime1)?,
                prime2: UintRef::new(&prime2)?,
                exponent1: UintRef::new(&exponent1)?,
                exponent2: UintRef::new(&exponent2)?,
                coefficient: UintRef::new(&coefficient)?,
                other_prime_infos: None,
            },
        )
    }

    fn open_elliptic_curve(
        &self,
        curve: ObjectIdentifier,
        public: &BitString,
    ) -> Result<PrivateKey, KeyError> {
        let (_, length) = CURVES
            .iter()
            .find(|(known, _)| *known == curve)
            .ok_or(KeyError::UnsupportedAlgorithm(curve))?;
        if ObjectIdentifier::from_der(self.plain(Attribute::EC_PARAMS)?)? != curve {
            return Err(KeyError::ForeignKey);
        }
        let private_key = of_length(&self.secret(Attribute::VALUE)?, *length)?;
        let algorithm = AlgorithmIdentifierRef {
            oid: ELLIPTIC_CURVE,
            parameters: Some((&curve).into()),
        };
        pkcs8(
            algorithm,
            &EcPrivateKey {
                private_key: &private_key,
                // They stand in the algorithm already.
                parameters: None,
                public_key: Some(public.raw_bytes()),
            },
        )
    }

    fn plain(&self, attribute: Attribute) -> Result<&[u8], KeyError> {
        self.object
            .get(attribute)
            .ok_or(KeyError::Missing(attribute))
    }

    fn secret(&self, attribute: Attribute) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let item = EncryptedItem::from_der(self.plain(attribute)?)?;
        let secret = item.decrypt(self.password)?;
        if item.needs_authentication() {
            let id = self.object.id;
            self.metadata
                .authenticate(self.password, Store::Keys, id, attribute, &secret)?;
        }
        Ok(secret)
    }
}

fn pkcs8(algorithm: AlgorithmIdentifierRef<'_>, key: &impl Encode) -> Result<PrivateKey, KeyError> {
    let key = SecretDocument::encode_msg(key)?;
    let key = OctetStringRef::new(key.as_bytes())?;
    let info = PrivateKeyInfoRef::new(algorithm, key);
    Ok(PrivateKey(SecretDocument::encode_msg(&info)?))
}

/// The same number with as many leading zeros as its curve wants.
fn of_length(number: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = &number[zeros..];
    let missing = length
        .checked_sub(digits.len())
        .ok_or(KeyError::ForeignKey)?;
    let mut padded = Zeroizing::new(vec![0; length]);
    padded[missing..].copy_from_slice(digits);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gets_the_length_of_its_curve() {
        assert_eq!(*of_length(&[1, 2], 4).unwrap(), [0, 0, 1, 2]);
        assert_eq!(*of_length(&[0, 0, 0, 1, 2], 4).unwrap(), [0, 0, 1, 2]);
        assert!(of_length(&[1, 2, 3, 4, 5], 4).is_err());
    }

    #[test]
    fn a_private_key_does_not_show_itself() {
        let key = PrivateKey(SecretDocument::try_from([0x30, 0x01, 0x2a].as_slice()).unwrap());
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }
}
