//! Why something could not be had from pmdaroot, as a type and as the number that C programs get.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pcp_env::ConfError;
use pcp_proto::Status;
use pcp_proto::root::{Failure, PduType, RootError, TextError};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path of the socket is not known.
    #[error("cannot find out where pmdaroot's socket lies: {0}")]
    Environment(#[from] ConfError),
    /// No connection.
    #[error("cannot connect to pmdaroot at {path}: {source} (does pmcd run pmdaroot?)")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// pmdaroot says no.
    #[error("pmdaroot could not do it: {0}")]
    Failed(Failure),
    /// There was no answer in time.
    #[error("pmdaroot did not answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended before the answer did.
    #[error("pmdaroot closed the connection instead of answering")]
    Closed,
    /// What came makes no sense.
    #[error("pmdaroot's answer makes no sense: {0}")]
    Malformed(#[from] RootError),
    /// The answer to another question.
    #[error("pmdaroot answered {found} where {expected} was due")]
    OtherAnswer {
        /// The answer that was waited for.
        expected: PduType,
        /// The answer that came.
        found: PduType,
    },
    /// The descriptors of a process did not come, or others did.
    #[error("pmdaroot sent {found} descriptors, {expected} were due")]
    Descriptors {
        /// How many the process has.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// The system could not send or receive.
    #[error("cannot talk to pmdaroot: {0}")]
    Io(#[from] io::Error),
    /// A name, label or argument that cannot be sent.
    #[error("the {what} cannot be sent to pmdaroot: {source}")]
    Text {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        source: TextError,
    },
    /// A number that no process has.
    #[error("{0} is not the number of a process")]
    Pid(i32),
    /// pmdaroot knows of no such process, or somebody else has been told of its end.
    #[error("process {0} was not started over this connection, or its end was told already")]
    NoChild(i32),
}

impl Error {
    /// The number that stands for it in C programs: a negative errno, or one of PCP's own codes.
    pub fn status(&self) -> Status {
        match self {
            Error::Environment(ConfError::Unreadable { source, .. })
            | Error::Connect { source, .. }
            | Error::Io(source) => source
                .raw_os_error()
                .map_or(Status::GENERIC, Status::from_errno),
            Error::Environment(ConfError::BadLine { .. }) => Status::GENERIC,
            Error::Failed(failure) => failure.status(),
            Error::Timeout(_) => errno(rustix::io::Errno::TIMEDOUT),
            Error::Closed => Status::EOF,
            Error::Malformed(_) | Error::OtherAnswer { .. } | Error::Descriptors { .. } => {
                Status::IPC
            }
            Error::Text {
                source: TextError::Length { len, max, .. },
                ..
            } if len > max => errno(rustix::io::Errno::TOOBIG),
            Error::Text { .. } | Error::Pid(_) => errno(rustix::io::Errno::INVAL),
            Error::NoChild(_) => errno(rustix::io::Errno::CHILD),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        error.status()
    }
}

fn errno(errno: rustix::io::Errno) -> Status {
    Status::from_errno(errno.raw_os_error())
}
