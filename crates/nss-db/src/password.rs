//! The password of a database, and the key that stands for it in all cryptography.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

/// A password. Its memory is wiped when it is dropped, and it never shows itself.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// The password with these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Password {
        Password(Zeroizing::new(bytes.into()))
    }

    /// No password, which is what a database without one wants.
    pub fn empty() -> Password {
        Password::new([])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password hashed with the salt of its database: where the keys of all items are derived from.
#[derive(Clone)]
pub struct PasswordKey(Zeroizing<Vec<u8>>);

/// The length of the salts that ask for SHA-384 instead of SHA-1 (the length of its output).
const SALT_OF_SHA_384: usize = 48;

impl PasswordKey {
    /// The key of `password` in a database with this salt.
    pub fn derive(global_salt: &[u8], password: &Password) -> PasswordKey {
        let key = if global_salt.len() == SALT_OF_SHA_384 {
            hash::<Sha384>(global_salt, password)
        } else {
            hash::<Sha1>(global_salt, password)
        };
        PasswordKey(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PasswordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordKey(..)")
    }
}

fn hash<D: Digest>(salt: &[u8], password: &Password) -> Zeroizing<Vec<u8>> {
    let digest = D::new().chain_update(salt).chain_update(&*password.0);
    Zeroizing::new(digest.finalize().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_sha_1_of_salt_and_password() {
        // FIPS 180's "abc".
        let key = PasswordKey::derive(b"a", &Password::new("bc"));
        assert_eq!(
            key.as_bytes(),
            b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d"
        );
    }

    #[test]
    fn a_salt_of_48_bytes_asks_for_sha_384() {
        let key = PasswordKey::derive(&[7; 48], &Password::new("secret"));
        assert_eq!(key.as_bytes().len(), 48);
    }

    #[test]
    fn secrets_do_not_show_themselves() {
        let password = Password::new("secret");
        assert_eq!(format!("{password:?}"), "Password(..)");
        let key = PasswordKey::derive(b"salt", &password);
        assert_eq!(format!("{key:?}"), "PasswordKey(..)");
    }
}
