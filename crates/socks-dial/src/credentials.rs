//! Files with the user name and the password for a SOCKS server.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The most that is read; two names of 255 bytes need far less.
const LARGEST: usize = 4096;

/// Why a credentials file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read the credentials file {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else might have written it, or can read it.
    #[error("the credentials file {} {why}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// It does not have what it should.
    #[error("the credentials file {} has no line USER:PASSWORD of 1 to 255 bytes each", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// A user name and a password.
pub(crate) struct Pair {
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
}

/// Reads `USER:PASSWORD` from the first line that is neither empty nor a comment. The file must
/// belong to root or to the effective user, and be closed to everybody else.
pub(crate) fn read(path: &Path) -> Result<Pair, CredentialsError> {
    let failed = |error| CredentialsError::Read {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(failed)?;
    check(&file, path).and_then(|()| {
        let mut text = Zeroizing::new(String::with_capacity(LARGEST));
        file.take(LARGEST as u64)
            .read_to_string(&mut text)
            .map_err(failed)?;
        pair(&text).ok_or_else(|| CredentialsError::Malformed {
            path: path.to_owned(),
        })
    })
}

fn check(file: &File, path: &Path) -> Result<(), CredentialsError> {
    let facts = file.metadata().map_err(|error| CredentialsError::Read {
        path: path.to_owned(),
        error,
    })?;
    let why = if !facts.is_file() {
        "is not a regular file"
    } else if facts.uid() != 0 && facts.uid() != rustix::process::geteuid().as_raw() {
        "belongs neither to root nor to this user: change its owner"
    } else if facts.mode() & 0o077 != 0 {
        "is open to others than its owner: make it mode 0600"
    } else {
        return Ok(());
    };
    Err(CredentialsError::Unsafe {
        path: path.to_owned(),
        why,
    })
}

fn pair(text: &str) -> Option<Pair> {
    let line = text
        .lines()
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let (user, password) = line.split_once(':')?;
    let fits = |part: &str| (1..=255).contains(&part.len());
    (fits(user) && fits(password)).then(|| Pair {
        user: user.to_owned(),
        password: Zeroizing::new(password.to_owned()),
    })
}
