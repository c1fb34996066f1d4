//! Reads Network Security Services (NSS) databases, the folders with `cert9.db` and `key4.db` that
//! `certutil(1)` makes: certificates, the trust put in them, and private keys. NSS itself is not
//! needed, and nothing is ever written.
//!
//! [`NssDatabase::open`] reads a folder into memory. [`NssDatabase::unlock`] takes its password and
//! gives an [`Unlocked`] database, which hands out an [`Identity`]: a certificate chain and its
//! private key.
//!
//! ```no_run
//! use nss_db::{NssDatabase, Password};
//!
//! let database = NssDatabase::open("/etc/pki/nssdb")?;
//! let password = if database.needs_password() {
//!     Password::new("secret")
//! } else {
//!     Password::empty()
//! };
//! let unlocked = database.unlock(&password)?;
//! let identity = unlocked.identity("PCP Collector certificate")?;
//! println!("{} certificates", identity.chain.len());
//! # Ok::<(), nss_db::NssError>(())
//! ```
//!
//! # What lies in the files
//!
//! Both are SQLite databases of PKCS #11 objects: a row is an object, column `aN` holds its
//! attribute with the hexadecimal number N, integers are four bytes in network order. The secret
//! attributes of private keys are [`EncryptedItem`]s, each sealed by itself under the password; a
//! message authentication code in `key4.db` guards them and the trust settings against changes.

#![forbid(unsafe_code)]

mod attribute;
mod certificate;
mod database;
mod error;
mod item;
mod metadata;
mod password;
mod private_key;
mod sqlite;
mod trust;
mod unlocked;

pub use database::NssDatabase;
pub use error::NssError;
pub use item::{EncryptedItem, ItemError, MOST_ITERATIONS};
pub use password::{Password, PasswordKey};
pub use private_key::PrivateKey;
pub use trust::TrustedAuthority;
pub use unlocked::{Identity, Unlocked};
