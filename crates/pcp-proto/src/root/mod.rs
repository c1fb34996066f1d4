//! pmdaroot's own protocol: what collectors ask of the one process that runs as root, over a unix
//! socket. PDUs here have nothing in common with those of pmcd.
//!
//! The server speaks first, with [`Answer::Info`]; then each [`Request`] has its [`Answer`]. Both
//! sides cut the stream with [`Request::next`] and [`Answer::next`], which take what has come so
//! far and say how many bytes are missing. No PDU is longer than [`MAX_LEN`] bytes.
//!
//! All integers are signed, have 32 bits, and are in the byte order of the host. Texts are bytes
//! without a zero; where C programs count the terminator among the bytes, it is dropped. The
//! descriptors of a started process are no bytes: they travel beside an [`Answer::Start`] as
//! `SCM_RIGHTS`, first the one to write to, then the one to read from.
//!
//! Layouts and numbers are facts of upstream's `pmdaroot.h` and of the traffic between PCP 6.0's
//! library and its pmdaroot. Version 2 differs from version 1 by START and STOP alone.

mod answer;
mod error;
mod frame;
mod header;
mod request;
#[cfg(test)]
mod tests;
mod text;

pub use answer::{Answer, Container, Failure, Features, Started, Stopped};
pub use error::RootError;
pub use frame::Next;
pub use header::{PduType, Version};
pub use request::{IpcType, Request, StartRequest, StopRequest, Target};
pub use text::{Arguments, ContainerName, Label, Text, TextError, TextOrNone};

/// The longest text in bytes, one less than `MAXPATHLEN`.
pub const MAX_TEXT: usize = 4095;

/// The longest label in bytes, one less than `MAXPMDALEN`.
pub const MAX_LABEL: usize = 63;

/// The longest PDU in bytes: a START request with the longest arguments.
pub const MAX_LEN: usize = header::START_LEN + MAX_TEXT;

/// Where the socket lies below `PCP_VAR_DIR`.
pub const SOCKET: &str = "pmcd/root.socket";
