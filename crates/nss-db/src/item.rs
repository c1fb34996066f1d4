//! Encrypted items: a secret attribute, or a message authentication code, wrapped in DER with the
//! algorithm that derives its key from the password.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Choice, Decode, DecodeValue, Encode, Sequence};
use hmac::{Hmac, KeyInit, Mac};
use pkcs8::spki::AlgorithmIdentifierRef;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::password::PasswordKey;

type Aes256Cbc = cbc::Decryptor<aes::Aes256>;
type TripleDesCbc = cbc::Decryptor<des::TdesEde3>;

/// The most iterations of a key derivation that are gone through. NSS asks for 10 000, and for one
/// when there is no password. A million take less than a second.
pub const MOST_ITERATIONS: u32 = 1_000_000;

/// The longest item. A private exponent of 16384 bits takes 2 kB.
const LONGEST: usize = 16 * 1024;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const SHA_1_TRIPLE_DES: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.5.1.3");

/// Why an item cannot be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It is longer than any item of NSS.
    #[error("an encrypted item of {0} bytes is too long")]
    TooLong(usize),
    /// It is not the DER that it should be.
    #[error("an encrypted item is malformed: {0}")]
    Malformed(der::Error),
    /// Its algorithm lacks the parameters that it needs.
    #[error("an encrypted item is malformed: its algorithm has no parameters")]
    NoParameters,
    /// It is sealed with an algorithm that this library does not know.
    #[error("the algorithm {0} is not supported")]
    UnsupportedAlgorithm(ObjectIdentifier),
    /// Its key would take too long to derive, or its count of iterations is zero.
    #[error("{0} iterations of key derivation are not between 1 and {MOST_ITERATIONS}")]
    Iterations(u32),
    /// A key or an initialisation vector does not fit its algorithm.
    #[error("the {0} has the wrong length")]
    WrongLength(&'static str),
    /// The key does not open it, or it was changed.
    #[error("an encrypted item does not open with the password of the database")]
    Sealed,
    /// It is a message authentication code where a secret is expected, or the reverse.
    #[error("an encrypted item is of the wrong kind")]
    WrongKind,
    /// The secret does not bear the authentication code that it should.
    #[error("a secret was changed: its authentication code is missing or wrong")]
    NotAuthentic,
}

impl From<der::Error> for ItemError {
    fn from(error: der::Error) -> ItemError {
        ItemError::Malformed(error)
    }
}

/// One item of `key4.db`: how its key is derived from the password, and its content.
#[derive(Debug)]
pub struct EncryptedItem<'a> {
    scheme: Scheme<'a>,
    content: &'a [u8],
}

#[derive(Debug)]
enum Scheme<'a> {
    /// AES-256-CBC under PBKDF2: what NSS has written since version 3.49.
    Aes { kdf: Pbkdf2<'a>, iv: [u8; 16] },
    /// Triple DES in CBC mode under NSS's own derivation: what it wrote before.
    TripleDes { salt: &'a [u8], iterations: u32 },
    /// No secret but an HMAC-SHA-256 under PBKDF2.
    Mac { kdf: Pbkdf2<'a> },
}

impl<'a> EncryptedItem<'a> {
    /// Reads an item without opening it.
    ///
    /// # Errors
    /// [`ItemError`] when it is too long or malformed, or its algorithm is not supported.
    pub fn from_der(der: &'a [u8]) -> Result<EncryptedItem<'a>, ItemError> {
        if der.len() > LONGEST {
            return Err(ItemError::TooLong(der.len()));
        }
        let wrapped = Wrapped::from_der(der)?;
        Ok(EncryptedItem {
            scheme: Scheme::read(&wrapped.algorithm)?,
            content: wrapped.content.as_bytes(),
        })
    }

    /// How often its key derivation goes round, 1 to [`MOST_ITERATIONS`].
    pub fn iterations(&self) -> u32 {
        match &self.scheme {
            Scheme::Aes { kdf, .. } | Scheme::Mac { kdf } => kdf.iterations,
            Scheme::TripleDes { iterations, .. } => *iterations,
        }
    }

    /// Whether NSS guards the secret with an authentication code elsewhere: it does for AES.
    pub(crate) fn needs_authentication(&self) -> bool {
        matches!(self.scheme, Scheme::Aes { .. })
    }

    /// Decrypts the secret.
    ///
    /// # Errors
    /// [`ItemError::Sealed`] when the key is not the right one; [`ItemError::WrongKind`] for an
    /// authentication code.
    pub fn decrypt(&self, key: &PasswordKey) -> Result<Zeroizing<Vec<u8>>, ItemError> {
        match &self.scheme {
            Scheme::Aes { kdf, iv } => {
                let key = kdf.derive(key);
                decrypt_cbc(Aes256Cbc::new((&*key).into(), iv.into()), self.content)
            }
            Scheme::TripleDes { salt, iterations } => {
                let TripleDesKey { key, iv } = TripleDesKey::derive(key, salt, *iterations)?;
                decrypt_cbc(TripleDesCbc::new((&*key).into(), &iv.into()), self.content)
            }
            Scheme::Mac { .. } => Err(ItemError::WrongKind),
        }
    }

    /// Checks this authentication code against the parts of a message, in constant time.
    ///
    /// # Errors
    /// [`ItemError::NotAuthentic`] when they do not fit; [`ItemError::WrongKind`] for a secret.
    pub fn authenticate(&self, key: &PasswordKey, message: &[&[u8]]) -> Result<(), ItemError> {
        let Scheme::Mac { kdf } = &self.scheme else {
            return Err(ItemError::WrongKind);
        };
        let mut mac = keyed::<Hmac<Sha256>>(&*kdf.derive(key))?;
        for part in message {
            mac.update(part);
        }
        mac.verify_slice(self.content)
            .map_err(|_| ItemError::NotAuthentic)
    }
}

impl<'a> Scheme<'a> {
    fn read(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Scheme<'a>, ItemError> {
        match algorithm.oid {
            PBES2 => {
                let parameters: TwoAlgorithms<'_> = decode_parameters(algorithm)?;
                expect(&parameters.second, AES_256_CBC)?;
                Ok(Scheme::Aes {
                    kdf: Pbkdf2::read(&parameters.kdf)?,
                    iv: aes_iv(&parameters.second)?,
                })
            }
            PBMAC1 => {
                let parameters: TwoAlgorithms<'_> = decode_parameters(algorithm)?;
                expect(&parameters.second, HMAC_SHA_256)?;
                Ok(Scheme::Mac {
                    kdf: Pbkdf2::read(&parameters.kdf)?,
                })
            }
            SHA_1_TRIPLE_DES => {
                let parameters: SaltAndIterations<'_> = decode_parameters(algorithm)?;
                Ok(Scheme::TripleDes {
                    salt: parameters.salt.as_bytes(),
                    iterations: allowed(parameters.iterations)?,
                })
            }
            other => Err(ItemError::UnsupportedAlgorithm(other)),
        }
    }
}

/// PBKDF2 with HMAC-SHA-256, for a key of 32 bytes.
#[derive(Debug)]
struct Pbkdf2<'a> {
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Pbkdf2<'a> {
    fn read(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Pbkdf2<'a>, ItemError> {
        expect(algorithm, PBKDF2)?;
        let parameters: Pbkdf2Parameters<'_> = decode_parameters(algorithm)?;
        expect(&parameters.prf, HMAC_SHA_256)?;
        if parameters.key_length.is_some_and(|length| length != 32) {
            return Err(ItemError::WrongLength("derived key"));
        }
        Ok(Pbkdf2 {
            salt: parameters.salt.as_bytes(),
            iterations: allowed(parameters.iterations)?,
        })
    }

    fn derive(&self, key: &PasswordKey) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(key.as_bytes(), self.salt, self.iterations, &mut *derived);
        derived
    }
}

/// RFC 8018's EncryptedData, and what NSS makes of it for authentication codes.
#[derive(Sequence)]
struct Wrapped<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    content: &'a OctetStringRef,
}

/// The parameters of PBES2 and of PBMAC1 (RFC 8018, A.4 and A.5).
#[derive(Sequence)]
struct TwoAlgorithms<'a> {
    kdf: AlgorithmIdentifierRef<'a>,
    second: AlgorithmIdentifierRef<'a>,
}

/// RFC 8018, A.2. NSS never leaves out the pseudorandom function.
#[derive(Sequence)]
struct Pbkdf2Parameters<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
    #[asn1(optional = "true")]
    key_length: Option<u16>,
    prf: AlgorithmIdentifierRef<'a>,
}

#[derive(Sequence)]
struct SaltAndIterations<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

fn decode_parameters<'a, T>(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<T, ItemError>
where
    T: Choice<'a> + DecodeValue<'a, Error = der::Error>,
{
    let parameters = algorithm.parameters.ok_or(ItemError::NoParameters)?;
    Ok(parameters.decode_as()?)
}

fn expect(algorithm: &AlgorithmIdentifierRef<'_>, oid: ObjectIdentifier) -> Result<(), ItemError> {
    if algorithm.oid == oid {
        Ok(())
    } else {
        Err(ItemError::UnsupportedAlgorithm(algorithm.oid))
    }
}

fn allowed(iterations: u32) -> Result<u32, ItemError> {
    if (1..=MOST_ITERATIONS).contains(&iterations) {
        Ok(iterations)
    } else {
        Err(ItemError::Iterations(iterations))
    }
}

/// The initialisation vector. NSS stores 14 random bytes as an OCTET STRING, and takes all 16
/// bytes of its encoding for the vector, tag and length included.
fn aes_iv(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<[u8; 16], ItemError> {
    let string: &OctetStringRef = decode_parameters(algorithm)?;
    if let Ok(plain) = string.as_bytes().try_into() {
        return Ok(plain);
    }
    string
        .to_der()?
        .try_into()
        .map_err(|_| ItemError::WrongLength("initialisation vector"))
}

/// A key of triple DES and its initialisation vector.
struct TripleDesKey {
    key: Zeroizing<[u8; 24]>,
    iv: [u8; 8],
}

impl TripleDesKey {
    /// NSS's own derivation ("PKCS #12 version 1 extended"): 40 bytes of which the first 24 are
    /// the key and the last 8 the initialisation vector.
    fn derive(key: &PasswordKey, salt: &[u8], iterations: u32) -> Result<TripleDesKey, ItemError> {
        let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(salt);
        let mut hash = Zeroizing::new(<[u8; 20]>::from(digest.finalize()));
        for _ in 1..iterations {
            *hash = Sha1::digest(*hash).into();
        }
        let mut padded = salt.to_vec();
        padded.resize(salt.len().max(20), 0);

        let first = hmac_sha_1(&hash, &[&padded, salt])?;
        let between = hmac_sha_1(&hash, &[&padded])?;
        let second = hmac_sha_1(&hash, &[&*between, salt])?;

        let mut derived = TripleDesKey {
            key: Zeroizing::new([0; 24]),
            iv: [0; 8],
        };
        derived.key[..20].copy_from_slice(&*first);
        derived.key[20..].copy_from_slice(&second[..4]);
        derived.iv.copy_from_slice(&second[12..]);
        Ok(derived)
    }
}

fn hmac_sha_1(key: &[u8; 20], message: &[&[u8]]) -> Result<Zeroizing<[u8; 20]>, ItemError> {
    let mut mac = keyed::<Hmac<Sha1>>(key)?;
    for part in message {
        mac.update(part);
    }
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

/// An HMAC takes keys of any length, but its type does not say so.
fn keyed<M: KeyInit>(key: &[u8]) -> Result<M, ItemError> {
    M::new_from_slice(key).map_err(|_| ItemError::WrongLength("key"))
}

/// Decrypts in place, so that the only copy of the secret is the one that is wiped.
fn decrypt_cbc(
    cipher: impl BlockModeDecrypt,
    content: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ItemError> {
    let mut secret = Zeroizing::new(content.to_vec());
    let length = cipher
        .decrypt_padded::<Pkcs7>(&mut secret)
        .map_err(|_| ItemError::Sealed)?
        .len();
    secret.truncate(length);
    Ok(secret)
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
