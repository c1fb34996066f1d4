//! What the server answers.

use std::fmt;

use super::MAX_LABEL;
use super::error::RootError;
use super::frame::{Builder, Frame, Next, frame};
use super::header::{PduType, Version};
use super::request::label;
use super::text::{Label, TextOrNone};
use crate::Status;

/// Bytes of the field for a label, the terminator included.
pub(super) const LABEL_FIELD: usize = MAX_LABEL + 1;

/// A word from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The greeting: what the server can do.
    Info(Result<Features, Failure>),
    /// The host name inside a container.
    HostName(Result<Container<'a>, Failure>),
    /// The first process of a container; the text is empty.
    ProcessId(Result<Container<'a>, Failure>),
    /// The control group of a container, without the leading slash.
    CgroupName(Result<Container<'a>, Failure>),
    /// A new process. Its descriptors come beside the bytes.
    Start(Started<'a>),
    /// What became of a process.
    Stop(Result<Stopped, Failure>),
}

/// Why the server did not do what it was asked: a negative errno, or one of PCP's own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(Status);

impl Failure {
    /// No container has the name.
    pub const NO_CONTAINER: Failure = Failure(Status::NO_CONTAINER);
    /// What the server's log tells about.
    pub const GENERIC: Failure = Failure(Status::GENERIC);

    /// A failure with this status, which must be negative.
    pub fn new(status: Status) -> Option<Failure> {
        status.is_error().then_some(Failure(status))
    }

    /// A failure with a positive errno of this machine. Anything else is [`Failure::GENERIC`].
    pub fn from_errno(errno: i32) -> Failure {
        match errno {
            1.. => Failure(Status::from_errno(errno)),
            _ => Failure::GENERIC,
        }
    }

    /// The status, which is negative.
    pub fn status(self) -> Status {
        self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// What a server can do (`PDUROOT_FLAG_*`). Unknown bits stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(pub i32);

impl Features {
    /// Look up host names.
    pub const HOST_NAME: Features = Features(1);
    /// Look up process identifiers.
    pub const PROCESS_ID: Features = Features(2);
    /// Look up control groups.
    pub const CGROUP_NAME: Features = Features(4);
    /// All that has a flag; for processes there is none.
    pub const ALL: Features = Features(7);

    /// Whether all of `features` are among these.
    pub fn contains(self, features: Features) -> bool {
        self.0 & features.0 == features.0
    }
}

/// What is known of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Container<'a> {
    /// Its first process, as the host numbers it.
    pub pid: i32,
    /// What was asked for, if it is a text.
    pub text: TextOrNone<'a>,
}

/// A process that was started, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started<'a> {
    /// What the request called it.
    pub label: Label<'a>,
    /// Its number, which is positive.
    pub pid: Result<i32, Failure>,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The process. When any was waited for: 0 if none has ended, -1 if there is none.
    pub pid: i32,
    /// How it ended, as waitpid(2) tells; 0 for a process that was told to end.
    pub code: i32,
}

impl<'a> Answer<'a> {
    /// The answer at the beginning of `bytes`, which is what has come so far.
    ///
    /// # Errors
    /// [`RootError`], as soon as it is clear that no answer can become of the bytes.
    pub fn next(bytes: &'a [u8]) -> Result<Next<Answer<'a>>, RootError> {
        let frame = match frame(bytes, accepts)? {
            Err(missing) => return Ok(Next::Missing(missing)),
            Ok(frame) => frame,
        };
        Ok(Next::Whole {
            pdu: Answer::decode(&frame)?,
            version: frame.header.version,
            len: frame.header.len,
        })
    }

    fn decode(frame: &Frame<'a>) -> Result<Answer<'a>, RootError> {
        Ok(match frame.header.pdu_type {
            PduType::Info => Answer::Info(outcome(frame, Features::decode)?),
            PduType::HostName => Answer::HostName(outcome(frame, Container::decode)?),
            PduType::ProcessId => Answer::ProcessId(outcome(frame, Container::decode)?),
            PduType::CgroupName => Answer::CgroupName(outcome(frame, Container::decode)?),
            PduType::Start => Answer::Start(Started::decode(frame)?),
            PduType::Stop => Answer::Stop(outcome(frame, Stopped::decode)?),
            request => return Err(RootError::NotAnAnswer(request)),
        })
    }

    /// The type of its PDU.
    pub fn pdu_type(&self) -> PduType {
        match self {
            Answer::Info(_) => PduType::Info,
            Answer::HostName(_) => PduType::HostName,
            Answer::ProcessId(_) => PduType::ProcessId,
            Answer::CgroupName(_) => PduType::CgroupName,
            Answer::Start(_) => PduType::Start,
            Answer::Stop(_) => PduType::Stop,
        }
    }

    /// The whole PDU as it goes over the wire.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let pdu = Builder::new(self.pdu_type(), version).status(self.status());
        match self {
            Answer::Info(features) => pdu.field(features.unwrap_or_default().0).field(0),
            Answer::HostName(container)
            | Answer::ProcessId(container)
            | Answer::CgroupName(container) => container.unwrap_or_default().encode(pdu),
            Answer::Start(started) => started.encode(pdu),
            Answer::Stop(stopped) => stopped.unwrap_or(Stopped { pid: 0, code: 0 }).encode(pdu),
        }
        .finish()
    }

    fn status(&self) -> Status {
        let failure = match self {
            Answer::Info(outcome) => outcome.err(),
            Answer::HostName(outcome)
            | Answer::ProcessId(outcome)
            | Answer::CgroupName(outcome) => outcome.err(),
            Answer::Start(started) => started.pid.err(),
            Answer::Stop(outcome) => outcome.err(),
        };
        failure.map_or(Status::OK, Failure::status)
    }
}

fn accepts(pdu_type: PduType) -> Result<(), RootError> {
    if pdu_type.is_request() {
        Err(RootError::NotAnAnswer(pdu_type))
    } else {
        Ok(())
    }
}

/// The failure in the header, or else what the body says. With a failure the body says nothing:
/// PCP 6.0's server sends bytes there that it has not set.
fn outcome<'a, T>(
    frame: &Frame<'a>,
    decode: fn(&Frame<'a>) -> Result<T, RootError>,
) -> Result<Result<T, Failure>, RootError> {
    match Failure::new(frame.header.status) {
        Some(failure) => Ok(Err(failure)),
        None => decode(frame).map(Ok),
    }
}

impl Features {
    fn decode(frame: &Frame<'_>) -> Result<Features, RootError> {
        let ([features, _zeroed], _) = frame.fields()?;
        Ok(Features(features))
    }
}

impl<'a> Container<'a> {
    fn decode(frame: &Frame<'a>) -> Result<Container<'a>, RootError> {
        let ([pid, len], text) = frame.fields()?;
        Ok(Container {
            pid,
            text: frame.text("name", len, text)?,
        })
    }

    fn encode(self, pdu: Builder) -> Builder {
        let text = self.text.as_bytes();
        pdu.field(self.pid).len_of(text).bytes(text)
    }
}

impl<'a> Started<'a> {
    fn decode(frame: &Frame<'a>) -> Result<Started<'a>, RootError> {
        let ([pid, _infd, _outfd, _ipc, label_len, _len], rest) = frame.fields()?;
        let (label, _) = label(frame, label_len, rest)?;
        let pid = match Failure::new(frame.header.status) {
            Some(failure) => Err(failure),
            None if pid < 1 => return Err(frame.bad_value("pid", pid)),
            None => Ok(pid),
        };
        Ok(Started { label, pid })
    }

    fn encode(&self, pdu: Builder) -> Builder {
        let label = self.label.as_bytes();
        pdu.field(self.pid.unwrap_or(-1))
            .zeros(12)
            .len_of(label)
            .zeros(4)
            .bytes(label)
            .zeros(LABEL_FIELD.saturating_sub(label.len()))
    }
}

impl Stopped {
    fn decode(frame: &Frame<'_>) -> Result<Stopped, RootError> {
        let ([pid, code, _force, _zeroed], _) = frame.fields()?;
        Ok(Stopped { pid, code })
    }

    fn encode(self, pdu: Builder) -> Builder {
        pdu.field(self.pid).field(self.code).field(0).field(0)
    }
}
