//! Why certificates, keys or cipher lists cannot be used.

use std::io;

use crate::errno::describe;

/// Why a certificate, a key, an authority or a list of ciphers cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TlsError {
    /// The file, folder, database or setting.
    pub place: String,
    /// What is wrong with it.
    pub problem: TlsProblem,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// The system does not let us read it.
    #[error("cannot read it: {}", describe(.0))]
    Unreadable(io::Error),
    /// A folder, pipe, device or socket.
    #[error("it is not a plain file")]
    NotPlain,
    /// Larger than any certificate or key.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// More files than are looked at.
    #[error("there are more than {0} files in it")]
    TooMany(usize),
    /// A key that others can read, or that its group can change.
    #[error(
        "others may use this private key (mode {0:04o}): make it 0400, or 0440 for its group to \
         read it too"
    )]
    OpenToOthers(u32),
    /// A key that a stranger could exchange.
    #[error("this private key belongs to user {owner}; it must belong to root or to user {user}")]
    ForeignOwner {
        /// The owner.
        owner: u32,
        /// Who will use it.
        user: u32,
    },
    /// Something that begins like PEM and does not go on like it.
    #[error("it is not sound PEM")]
    BadPem,
    /// No certificate.
    #[error("there is no certificate in it (expected PEM, -----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate that cannot be understood.
    #[error("the certificate number {number} in it is malformed: {reason}")]
    BadCertificate {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// No revocation list.
    #[error("there is no revocation list in it (expected PEM, -----BEGIN X509 CRL-----)")]
    NoRevocationList,
    /// A revocation list that cannot be used.
    #[error("the revocation list number {number} in it cannot be used: {reason}")]
    BadRevocationList {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// Something in a certificate that cannot be understood.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// No private key.
    #[error("there is no private key in it (expected PEM, -----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// A private key behind a passphrase.
    #[error(
        "the private key is protected by a passphrase, which nobody can enter here: store it \
         without one, with mode 0400"
    )]
    SealedKey,
    /// A private key that cannot be used.
    #[error(
        "the private key cannot be used: only RSA of 2048 to 8192 bits, the curves P-256 and \
         P-384, and Ed25519 are supported"
    )]
    UnsupportedKey,
    /// Certificate and key are strangers to each other.
    #[error("it is not the private key of the certificate {0}")]
    Mismatch(String),
    /// A certificate that does not go back to the authorities that clients will ask for.
    #[error("the configured authorities do not vouch for it: {0}")]
    NotIssuedHere(String),
    /// Client certificates are asked for, and none could be trusted.
    #[error("client certificates are required, but no authority that issues them is configured")]
    NoAuthority,
    /// A word in a list of ciphers.
    #[error("{word:?} is not supported (there are: {possible})")]
    UnknownCipher {
        /// What stands there.
        word: String,
        /// What could stand there.
        possible: String,
    },
    /// A word in a priority string of GnuTLS.
    #[error("{word:?} in the priority string cannot be honoured: {reason}")]
    Priority {
        /// What stands there.
        word: String,
        /// Why not.
        reason: &'static str,
    },
    /// A priority string leaves nothing to choose from.
    #[error("the priority string leaves {0}")]
    NothingLeft(&'static str),
    /// Everything was excluded.
    #[error("no cipher is left for TLS 1.2, and none for TLS 1.3")]
    NoCipher,
    /// rustls does not make a configuration of it.
    #[error("{0}")]
    Refused(rustls::Error),
}

impl TlsError {
    /// Whether there is nothing at the place.
    pub fn is_missing(&self) -> bool {
        matches!(&self.problem, TlsProblem::Unreadable(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl TlsProblem {
    /// The error that it is at a place.
    pub(super) fn at(self, place: impl Into<String>) -> TlsError {
        TlsError {
            place: place.into(),
            problem: self,
        }
    }
}
