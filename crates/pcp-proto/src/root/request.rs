//! What clients ask.

use super::answer::LABEL_FIELD;
use super::error::RootError;
use super::frame::{Builder, Frame, Next, frame};
use super::header::{PduType, Version};
use super::text::{Arguments, ContainerName, Label};

/// A question to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// The host name inside a container.
    HostName(Target<'a>),
    /// The first process of a container.
    ProcessId(Target<'a>),
    /// The control group of a container.
    CgroupName(Target<'a>),
    /// A new process.
    Start(StartRequest<'a>),
    /// The end of a process, or those that have ended.
    Stop(StopRequest),
}

/// Which container is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The one that has this name or id.
    Name(ContainerName<'a>),
    /// The one that this process is in. Any number can come over the wire, also one that no process
    /// has.
    Pid(i32),
}

/// How pmcd talks with a process that it has started (`ROOT_AGENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcType {
    /// Over a socket that the process makes by itself: no descriptors come with the answer.
    Socket,
    /// Over two pipes, whose ends come with the answer.
    Pipe,
}

impl IpcType {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            IpcType::Socket => 1,
            IpcType::Pipe => 2,
        }
    }

    /// The type with this number.
    pub fn from_number(number: i32) -> Option<IpcType> {
        match number {
            1 => Some(IpcType::Socket),
            2 => Some(IpcType::Pipe),
            _ => None,
        }
    }
}

/// Which process to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRequest<'a> {
    /// How it is talked with.
    pub ipc: IpcType,
    /// What messages call it.
    pub label: Label<'a>,
    /// The program and its arguments, separated by blanks.
    pub arguments: Arguments<'a>,
}

/// What to do about processes. The numbers are those from the wire: it is the server who judges
/// whether they are processes that the client may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// Send it SIGTERM: what a positive number without the force flag means. The number is positive.
    Terminate(i32),
    /// Send it SIGKILL: the force flag is set.
    Kill(i32),
    /// Tell of one that has ended, without waiting: a number below 1 without the force flag.
    WaitAny,
}

impl<'a> Request<'a> {
    /// The request at the beginning of `bytes`, which is what has come so far.
    ///
    /// # Errors
    /// [`RootError`], as soon as it is clear that no request can become of the bytes.
    pub fn next(bytes: &'a [u8]) -> Result<Next<Request<'a>>, RootError> {
        let frame = match frame(bytes, accepts)? {
            Err(missing) => return Ok(Next::Missing(missing)),
            Ok(frame) => frame,
        };
        Ok(Next::Whole {
            pdu: Request::decode(&frame)?,
            version: frame.header.version,
            len: frame.header.len,
        })
    }

    fn decode(frame: &Frame<'a>) -> Result<Request<'a>, RootError> {
        match frame.header.pdu_type {
            PduType::HostNameRequest => Target::decode(frame).map(Request::HostName),
            PduType::ProcessIdRequest => Target::decode(frame).map(Request::ProcessId),
            PduType::CgroupNameRequest => Target::decode(frame).map(Request::CgroupName),
            PduType::StartRequest => StartRequest::decode(frame).map(Request::Start),
            PduType::StopRequest => StopRequest::decode(frame).map(Request::Stop),
            answer => Err(RootError::NotARequest(answer)),
        }
    }

    /// The type of its PDU.
    pub fn pdu_type(&self) -> PduType {
        match self {
            Request::HostName(_) => PduType::HostNameRequest,
            Request::ProcessId(_) => PduType::ProcessIdRequest,
            Request::CgroupName(_) => PduType::CgroupNameRequest,
            Request::Start(_) => PduType::StartRequest,
            Request::Stop(_) => PduType::StopRequest,
        }
    }

    /// The type of the PDU that answers it.
    pub fn answered_by(&self) -> PduType {
        match self {
            Request::HostName(_) => PduType::HostName,
            Request::ProcessId(_) => PduType::ProcessId,
            Request::CgroupName(_) => PduType::CgroupName,
            Request::Start(_) => PduType::Start,
            Request::Stop(_) => PduType::Stop,
        }
    }

    /// The whole PDU as it goes over the wire.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let pdu = Builder::new(self.pdu_type(), version);
        match self {
            Request::HostName(target)
            | Request::ProcessId(target)
            | Request::CgroupName(target) => target.encode(pdu),
            Request::Start(start) => start.encode(pdu),
            Request::Stop(stop) => stop.encode(pdu),
        }
        .finish()
    }
}

fn accepts(pdu_type: PduType) -> Result<(), RootError> {
    if pdu_type.is_request() {
        Ok(())
    } else {
        Err(RootError::NotARequest(pdu_type))
    }
}

impl<'a> Target<'a> {
    fn decode(frame: &Frame<'a>) -> Result<Target<'a>, RootError> {
        let ([pid, len], name) = frame.fields()?;
        if len == 0 && name.is_empty() {
            return Ok(Target::Pid(pid));
        }
        frame.text("name", len, name).map(Target::Name)
    }

    fn encode(self, pdu: Builder) -> Builder {
        match self {
            Target::Name(name) => pdu.field(0).len_of(name.as_bytes()).bytes(name.as_bytes()),
            Target::Pid(pid) => pdu.field(pid).field(0),
        }
    }
}

impl<'a> StartRequest<'a> {
    fn decode(frame: &Frame<'a>) -> Result<StartRequest<'a>, RootError> {
        let ([_pid, _infd, _outfd, ipc, label_len, len], rest) = frame.fields()?;
        let (label, arguments) = label(frame, label_len, rest)?;
        Ok(StartRequest {
            ipc: IpcType::from_number(ipc).ok_or_else(|| frame.bad_value("ipctype", ipc))?,
            label,
            arguments: frame.text("args", len, arguments)?,
        })
    }

    fn encode(&self, pdu: Builder) -> Builder {
        let (label, arguments) = (self.label.as_bytes(), self.arguments.as_bytes());
        pdu.zeros(12)
            .field(self.ipc.number())
            .len_of(label)
            .len_of(arguments)
            .bytes(label)
            .zeros(LABEL_FIELD.saturating_sub(label.len()))
            .bytes(arguments)
    }
}

/// The label in its field of a fixed size, and what follows the field.
pub(super) fn label<'a>(
    frame: &Frame<'a>,
    len: i32,
    rest: &'a [u8],
) -> Result<(Label<'a>, &'a [u8]), RootError> {
    let pdu_type = frame.header.pdu_type;
    let (field, rest) = rest
        .split_at_checked(LABEL_FIELD)
        .ok_or(RootError::Overrun {
            pdu_type,
            field: "name",
            stated: LABEL_FIELD,
            available: rest.len(),
        })?;
    let Ok(stated) = usize::try_from(len) else {
        return Err(frame.bad_value("namelen", len));
    };
    let text = field
        .get(..stated)
        .filter(|_| stated < LABEL_FIELD)
        .ok_or(RootError::Unterminated { pdu_type, stated })?;
    let label = Label::until_zero(text).map_err(|_| frame.bad_value("namelen", len))?;
    Ok((label, rest))
}

impl StopRequest {
    fn decode(frame: &Frame<'_>) -> Result<StopRequest, RootError> {
        let ([pid, _code, force, _zeroed], _) = frame.fields()?;
        Ok(match force {
            0 if pid < 1 => StopRequest::WaitAny,
            0 => StopRequest::Terminate(pid),
            _ => StopRequest::Kill(pid),
        })
    }

    fn encode(self, pdu: Builder) -> Builder {
        let (pid, force) = match self {
            StopRequest::Terminate(pid) => (pid, 0),
            StopRequest::Kill(pid) => (pid, 1),
            StopRequest::WaitAny => (-1, 0),
        };
        pdu.field(pid).field(0).field(force).field(0)
    }
}
