//! The table `metaData` of `key4.db`: the check of the password, and the authentication codes.

use std::collections::HashMap;

use ctutils::CtEq;

use crate::attribute::Attribute;
use crate::item::{EncryptedItem, ItemError};
use crate::password::{Password, PasswordKey};
use crate::sqlite::MetadataRow;

/// What the check of the password decrypts to.
const PASSWORD_CHECK: &[u8] = b"password-check";

/// Which file an object lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Store {
    Certificates,
    Keys,
}

/// The contents of the table.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    password: Option<PasswordCheck>,
    codes: HashMap<String, Vec<u8>>,
}

/// The row with the name `password`. It is missing until a password, or none, is first set.
#[derive(Debug)]
struct PasswordCheck {
    global_salt: Vec<u8>,
    item: Vec<u8>,
}

impl Metadata {
    pub(crate) fn new(rows: Vec<MetadataRow>) -> Metadata {
        let mut metadata = Metadata::default();
        for row in rows {
            if row.id == "password" {
                metadata.password = Some(PasswordCheck {
                    global_salt: row.item1,
                    item: row.item2,
                });
            } else if row.id.starts_with("sig_") {
                metadata.codes.insert(row.id, row.item1);
            }
        }
        metadata
    }

    /// Whether a password, or none, was ever set: only then there are keys and codes.
    pub(crate) fn has_password_check(&self) -> bool {
        self.password.is_some()
    }

    /// The key that stands for `password` if it is the right one.
    pub(crate) fn check(&self, password: &Password) -> Result<Option<PasswordKey>, ItemError> {
        let Some(check) = &self.password else {
            return Ok(None);
        };
        let key = PasswordKey::derive(&check.global_salt, password);
        match EncryptedItem::from_der(&check.item)?.decrypt(&key) {
            Ok(text) if bool::from(text.as_slice().ct_eq(PASSWORD_CHECK)) => Ok(Some(key)),
            Ok(_) | Err(ItemError::Sealed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks that an attribute's value was written by someone with the password.
    pub(crate) fn authenticate(
        &self,
        key: &PasswordKey,
        store: Store,
        object: u32,
        Attribute(number): Attribute,
        value: &[u8],
    ) -> Result<(), ItemError> {
        let code = self
            .code(store, object, number)
            .ok_or(ItemError::NotAuthentic)?;
        // The codes of secrets leave the object's number out.
        let named = match store {
            Store::Certificates => object,
            Store::Keys => 0,
        };
        EncryptedItem::from_der(code)?
            .authenticate(key, &[&named.to_be_bytes(), &number.to_be_bytes(), value])
    }

    fn code(&self, store: Store, object: u32, attribute: u32) -> Option<&[u8]> {
        let find = |id: String| self.codes.get(&id).map(Vec::as_slice);
        match store {
            Store::Certificates => find(format!("sig_cert_{object:08x}_{attribute:08x}")),
            // Some versions of NSS leave two marks in the numbers of keys.
            Store::Keys => find(format!("sig_key_{object:08x}_{attribute:08x}")).or_else(|| {
                let marked = object | 0xc000_0000;
                find(format!("sig_key_{marked:08x}_{attribute:08x}"))
            }),
        }
    }
}
