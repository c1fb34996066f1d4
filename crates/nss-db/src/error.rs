//! Why a database, or something in it, cannot be used.

use std::io;
use std::path::PathBuf;

use crate::item::ItemError;

/// Why a database, or something in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NssError {
    /// There is no such folder.
    #[error(
        "there is no folder {folder} for an NSS database \
         (make one with `certutil -N -d sql:{folder}`)"
    )]
    NoSuchFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder lacks `cert9.db`, `key4.db` or both.
    #[error(
        "{folder} holds no complete NSS database: there is no {missing} \
         (make one with `certutil -N -d sql:{folder}`)"
    )]
    NoDatabase {
        /// The folder.
        folder: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// The folder holds a database of the old format alone.
    #[error(
        "{folder} holds an NSS database of the old dbm format (cert8.db, key3.db), which is not \
         supported; convert it with `certutil -K -X -d sql:{folder}`"
    )]
    OldFormat {
        /// The folder.
        folder: PathBuf,
    },
    /// The system does not let us read a folder or file.
    #[error("cannot read {path} of the NSS database: {source}")]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program has been writing to a file all the time.
    #[error("{path} is being written by another program; try again when it has finished")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A program died while it wrote to a file, and only a writer can tidy up.
    #[error(
        "{path} was left half written by a program that died; repair it by opening it for \
         writing once: `certutil -K -X -d sql:{folder}`"
    )]
    HalfWritten {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// SQLite's write-ahead log is on, which NSS never does: reading would create files.
    #[error(
        "{path} uses SQLite's write-ahead log, which cannot be read without writing; switch it \
         off with `sqlite3 {path} 'PRAGMA journal_mode=DELETE'`"
    )]
    WriteAheadLog {
        /// The file.
        path: PathBuf,
    },
    /// A file is no NSS database, or what it holds makes no sense.
    #[error("{path} is not a sound NSS database: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private keys are protected by a password, and none was given.
    #[error("the NSS database in {folder} is protected by a password, and none was given")]
    PasswordNeeded {
        /// The folder.
        folder: PathBuf,
    },
    /// It is not the password.
    #[error("the password given for the NSS database in {folder} is wrong")]
    WrongPassword {
        /// The folder.
        folder: PathBuf,
    },
    /// No certificate has this nickname.
    #[error(
        "the NSS database in {folder} has no certificate with the nickname {nickname:?} ({})",
        those_that_exist(.existing)
    )]
    UnknownNickname {
        /// The folder.
        folder: PathBuf,
        /// The nickname.
        nickname: String,
        /// The nicknames that exist.
        existing: Vec<String>,
    },
    /// The certificate is there, but not its private key.
    #[error(
        "the NSS database in {folder} has the certificate {nickname:?} without its private key \
         (import both with `pk12util -i FILE -d sql:{folder}`)"
    )]
    NoPrivateKey {
        /// The folder.
        folder: PathBuf,
        /// The nickname of the certificate.
        nickname: String,
    },
    /// An algorithm that this library does not know.
    #[error("{path}: {what} uses the algorithm {oid}, which is not supported")]
    UnsupportedAlgorithm {
        /// The file.
        path: PathBuf,
        /// What uses it.
        what: String,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// A trust setting was changed by someone who did not know the password.
    #[error(
        "{path}: the trust in {nickname:?} was not set with the password of this database; if it \
         is right, set it again with `certutil -M -n {nickname:?} -t TRUST -d sql:{folder}`"
    )]
    TrustNotAuthentic {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// The nickname of the certificate.
        nickname: String,
    },
}

impl NssError {
    /// An encrypted item of `path` that cannot be opened; `what` says what it holds.
    pub(crate) fn item(path: PathBuf, what: &str, error: ItemError) -> NssError {
        match error {
            ItemError::UnsupportedAlgorithm(oid) => NssError::UnsupportedAlgorithm {
                path,
                what: what.into(),
                oid: oid.to_string(),
            },
            error => NssError::Corrupt {
                path,
                reason: format!("{what}: {error}"),
            },
        }
    }
}

/// How many nicknames a message names at most.
const NAMED: usize = 20;

fn those_that_exist(nicknames: &[String]) -> String {
    if nicknames.is_empty() {
        return "it has no certificate at all".into();
    }
    let mut text = String::from("there are: ");
    for (index, nickname) in nicknames.iter().take(NAMED).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}{nickname:?}"));
    }
    if let Some(more @ 1..) = nicknames.len().checked_sub(NAMED) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(existing: Vec<String>) -> String {
        NssError::UnknownNickname {
            folder: "/etc/pki/nssdb".into(),
            nickname: "x".into(),
            existing,
        }
        .to_string()
    }

    #[test]
    fn an_unknown_nickname_is_answered_with_those_that_exist() {
        assert_eq!(
            unknown(vec!["CA".into(), "a \"b\"".into()]),
            "the NSS database in /etc/pki/nssdb has no certificate with the nickname \"x\" \
             (there are: \"CA\", \"a \\\"b\\\"\")"
        );
        assert!(unknown(Vec::new()).ends_with("(it has no certificate at all)"));
    }

    #[test]
    fn a_long_list_of_nicknames_is_cut() {
        let message = unknown((0..23).map(|n| n.to_string()).collect());
        assert!(message.ends_with("\"18\", \"19\" and 3 more)"), "{message}");
        assert!(unknown((0..20).map(|n| n.to_string()).collect()).ends_with("\"19\")"));
    }
}
