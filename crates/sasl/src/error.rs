//! What goes wrong, in words for the log: none of it is for the client.

use std::path::PathBuf;

/// Why something about SASL did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The library is not there, or cannot be used.
    #[error(
        "cannot load {library}: {reason} (install the package libsasl2-2, and libsasl2-modules for \
         the mechanisms)"
    )]
    Missing {
        /// The file that the dynamic linker looked for.
        library: &'static str,
        /// What it says.
        reason: String,
    },
    /// Others than the passwords' owner and group can get at them.
    #[error(
        "SASL's passwords in {} have the permissions {mode:04o}, so that every user can get at them: \
         chmod o= {}", .path.display(), .path.display()
    )]
    OpenPasswords {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The library is in use already, with other arguments.
    #[error("libsasl2 was initialised for {app_name} before, with another name or configuration")]
    LoadedBefore {
        /// For whom.
        app_name: String,
    },
    /// The library refused. This is also how a wrong password shows.
    #[error("cannot {doing}: {detail} (libsasl2's result {code})")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The library's result, one of `SASL_*` in its `sasl.h`.
        code: i32,
        /// The library's words. They may have a client's own words in them, and are escaped.
        detail: String,
    },
    /// No mechanism is good enough for the security that is asked for, or none is installed.
    #[error(
        "no SASL mechanism is available (look at mech_list in the configuration of SASL and at the \
         strength that is asked for; install the package libsasl2-modules)"
    )]
    NoMechanism,
    /// A client sent more at once than it may.
    #[error("{len} bytes came at once, more than the {limit} that are allowed")]
    TooLong {
        /// So many bytes.
        len: usize,
        /// The most that are allowed.
        limit: usize,
    },
    /// A text holds a zero, where the library takes it for the end.
    #[error("the {what} has a zero byte in it")]
    Zero {
        /// Which text.
        what: &'static str,
    },
    /// A text is not UTF-8.
    #[error("the {what} is not UTF-8")]
    NotUtf8 {
        /// Which text.
        what: &'static str,
    },
    /// This is not the time for that.
    #[error("cannot {doing} now: the session {state}")]
    OutOfTurn {
        /// What was tried.
        doing: &'static str,
        /// How it is with the session.
        state: &'static str,
    },
    /// The client takes such small pieces that a layer would be more wrapping than content.
    #[error("the client takes pieces of {len} bytes, and at least {limit} are asked for")]
    SmallPieces {
        /// The client's limit.
        len: usize,
        /// Ours.
        limit: usize,
    },
}
