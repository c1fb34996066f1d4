//! A folder with an NSS database, read into memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::attribute::Class;
use crate::certificate::Certificate;
use crate::error::NssError;
use crate::metadata::Metadata;
use crate::password::{Password, PasswordKey};
use crate::private_key::SealedKey;
use crate::sqlite::{Object, Reader, Table};
use crate::trust::{Trust, TrustedAuthority};
use crate::unlocked::{Identity, Unlocked};

const CERTIFICATES: &str = "cert9.db";
const KEYS: &str = "key4.db";
/// The same in the format before SQLite.
const OLD_FILES: [&str; 2] = ["cert8.db", "key3.db"];

/// An NSS database as it was when it was opened; later changes of its files are not seen.
#[derive(Debug)]
pub struct NssDatabase {
    folder: PathBuf,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) trust: Vec<Trust>,
    pub(crate) private_keys: Vec<Object>,
    pub(crate) metadata: Metadata,
    /// The key of the empty password, where that is the right one.
    without_password: Option<PasswordKey>,
}

impl NssDatabase {
    /// Reads the database in a folder. A `sql:` before the folder, which NSS's tools understand,
    /// does not belong to it.
    ///
    /// # Errors
    /// [`NssError`] when the folder or a database is missing, unreadable, of the old format, in
    /// use or corrupt.
    pub fn open(folder: impl AsRef<Path>) -> Result<NssDatabase, NssError> {
        let folder = folder.as_ref();
        look_into(folder)?;

        let mut reader = Reader::open(&folder.join(CERTIFICATES))?;
        let attributes = Certificate::ATTRIBUTES;
        let certificates = reader.objects(Table::Public, Class::CERTIFICATE, attributes)?;
        let trust = reader.objects(Table::Public, Class::NSS_TRUST, Trust::ATTRIBUTES)?;

        let mut reader = Reader::open(&folder.join(KEYS))?;
        let attributes = SealedKey::ATTRIBUTES;
        let private_keys = reader.objects(Table::Private, Class::PRIVATE_KEY, attributes)?;
        let metadata = Metadata::new(reader.metadata()?);

        let mut database = NssDatabase {
            folder: folder.into(),
            certificates: certificates
                .iter()
                .filter_map(Certificate::from_object)
                .collect(),
            trust: trust.into_iter().map(Trust::from_object).collect(),
            private_keys,
            metadata,
            without_password: None,
        };
        database.without_password = database.check(&Password::empty())?;
        Ok(database)
    }

    /// The nicknames of its certificates, sorted, each once.
    pub fn nicknames(&self) -> Vec<&str> {
        let mut nicknames: Vec<&str> = self
            .certificates
            .iter()
            .filter_map(|certificate| certificate.nickname.as_deref())
            .collect();
        nicknames.sort_unstable();
        nicknames.dedup();
        nicknames
    }

    /// Whether its private keys are protected by a password.
    pub fn needs_password(&self) -> bool {
        self.without_password.is_none() && self.metadata.has_password_check()
    }

    /// Opens it with its password. Where it has none, the password given is ignored, as by NSS.
    ///
    /// # Errors
    /// [`NssError::PasswordNeeded`] when the password is empty but must not be, and
    /// [`NssError::WrongPassword`] when it is not the right one.
    pub fn unlock(&self, password: &Password) -> Result<Unlocked<'_>, NssError> {
        if !self.needs_password() {
            return Ok(Unlocked::new(self, self.without_password.clone()));
        }
        let folder = self.folder.clone();
        if password.is_empty() {
            return Err(NssError::PasswordNeeded { folder });
        }
        match self.check(password)? {
            Some(key) => Ok(Unlocked::new(self, Some(key))),
            None => Err(NssError::WrongPassword { folder }),
        }
    }

    /// Unlocks it and takes out one identity: see [`Unlocked::identity`].
    ///
    /// # Errors
    /// Those of [`NssDatabase::unlock`] and [`Unlocked::identity`].
    pub fn identity(&self, nickname: &str, password: &Password) -> Result<Identity, NssError> {
        self.unlock(password)?.identity(nickname)
    }

    /// The certificates that are trusted to issue others, as far as one can tell without the
    /// password: whoever can write to the files could have put them in.
    /// [`Unlocked::trusted_authorities`] knows better.
    pub fn trusted_authorities(&self) -> Vec<TrustedAuthority> {
        self.trust
            .iter()
            .filter_map(|trust| trust.authority(&self.certificates))
            .collect()
    }

    /// The folder that it was read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn certificates_file(&self) -> PathBuf {
        self.folder.join(CERTIFICATES)
    }

    pub(crate) fn keys_file(&self) -> PathBuf {
        self.folder.join(KEYS)
    }

    fn check(&self, password: &Password) -> Result<Option<PasswordKey>, NssError> {
        self.metadata
            .check(password)
            .map_err(|error| NssError::item(self.keys_file(), "the check of the password", error))
    }
}

/// Sees to it that the folder is there and holds both files.
fn look_into(folder: &Path) -> Result<(), NssError> {
    let no_folder = || NssError::NoSuchFolder {
        folder: folder.into(),
    };
    if !exists(folder)? {
        return Err(no_folder());
    }
    let mut missing = None;
    for file in [KEYS, CERTIFICATES] {
        if !exists(&folder.join(file))? {
            missing = Some(file);
        }
    }
    let Some(missing) = missing else {
        return Ok(());
    };
    if OLD_FILES.iter().any(|file| folder.join(file).exists()) {
        return Err(NssError::OldFormat {
            folder: folder.into(),
        });
    }
    Err(NssError::NoDatabase {
        folder: folder.into(),
        missing,
    })
}

fn exists(path: &Path) -> Result<bool, NssError> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        // The latter for a folder that is a file.
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            Ok(false)
        }
        Err(source) => Err(NssError::Unreadable {
            path: path.into(),
            source,
        }),
    }
}
