//! From a frame to its answer.

use virt_proto::admin::{Close, GetLibVersion, procedure};
use virt_proto::xdr::Reader;
use virt_proto::{
    Call, FrameHead, Header, MessageType, Procedure, Program, RemoteError, Status, keepalive,
};

use super::Administered;
use crate::frames::Frame;

/// The reply to a call, or its error. Errors are large and rare, so they are boxed.
pub(super) type Answer<T> = Result<T, Box<RemoteError>>;

/// What a frame brings about.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing: libvirt too drops what nobody waits for.
    Nothing,
    /// This frame is sent.
    Answer(Vec<u8>),
    /// This frame is sent, then the connection ends.
    Last(Vec<u8>),
    /// This frame is sent, then the daemon ends.
    Shutdown(Vec<u8>),
}

/// Does what a frame asks for. May wait for files.
pub(super) fn dispatch(administered: &Administered, frame: &Frame) -> Outcome {
    let header = frame.header;
    if let Some(asked) = keepalive::procedure(header) {
        return match asked {
            keepalive::PING => Outcome::Answer(keepalive::header(keepalive::PONG).frame(&())),
            _ => Outcome::Nothing,
        };
    }
    if !is_call(header) {
        return Outcome::Nothing;
    }
    if (header.program, header.version) != (Program::ADMIN, Program::VERSION) {
        return refuse(
            header,
            &RemoteError::unknown_program(header.program, header.version),
        );
    }
    if header.status != Status::OK {
        return refuse(header, &RemoteError::unexpected_status(header.status));
    }
    let arguments = Arguments { frame };
    match header.procedure {
        procedure::CONNECT_CLOSE => arguments.end(Outcome::Last, |_: &Close| Ok(())),
        procedure::CONNECT_DAEMON_SHUTDOWN => {
            arguments.end(Outcome::Shutdown, Administered::may_shut_down)
        }
        _ => call(administered, &arguments, header.procedure),
    }
}

/// Does what a call asks for that neither ends the connection nor the daemon.
fn call(this: &Administered, arguments: &Arguments<'_>, procedure: Procedure) -> Outcome {
    match procedure {
        procedure::CONNECT_OPEN => arguments.answer(Administered::open),
        procedure::CONNECT_GET_LIB_VERSION => {
            arguments.answer(|_: &GetLibVersion| Ok(Administered::lib_version()))
        }
        procedure::CONNECT_LIST_SERVERS => arguments.answer(|call| this.list_servers(call)),
        procedure::CONNECT_LOOKUP_SERVER => arguments.answer(|call| this.lookup_server(call)),
        procedure::SERVER_GET_THREADPOOL_PARAMETERS => {
            arguments.answer(|call| this.threadpool(call))
        }
        procedure::SERVER_SET_THREADPOOL_PARAMETERS => {
            arguments.answer(|call| this.set_threadpool(call))
        }
        procedure::SERVER_LIST_CLIENTS => arguments.answer(|call| this.list_clients(call)),
        procedure::SERVER_LOOKUP_CLIENT => arguments.answer(|call| this.lookup_client(call)),
        procedure::CLIENT_GET_INFO => arguments.answer(|call| this.client_info(call)),
        procedure::CLIENT_CLOSE => arguments.answer(|call| this.close_client(call)),
        procedure::SERVER_GET_CLIENT_LIMITS => arguments.answer(|call| this.client_limits(call)),
        procedure::SERVER_SET_CLIENT_LIMITS => {
            arguments.answer(|call| this.set_client_limits(call))
        }
        procedure::CONNECT_GET_LOGGING_OUTPUTS => {
            arguments.answer(|call| this.logging_outputs(call))
        }
        procedure::CONNECT_GET_LOGGING_FILTERS => {
            arguments.answer(|call| this.logging_filters(call))
        }
        procedure::CONNECT_SET_LOGGING_OUTPUTS => {
            arguments.answer(|call| this.set_logging_outputs(call))
        }
        procedure::CONNECT_SET_LOGGING_FILTERS => {
            arguments.answer(|call| this.set_logging_filters(call))
        }
        procedure::SERVER_UPDATE_TLS_FILES => arguments.answer(|call| this.update_tls(call)),
        procedure::CONNECT_SET_DAEMON_TIMEOUT => arguments.answer(|call| this.set_timeout(call)),
        unknown => {
            let error = RemoteError::unknown_procedure(unknown);
            refuse(arguments.frame.header, &error)
        }
    }
}

/// Whether a frame waits for an answer.
pub(super) fn is_call(header: Header) -> bool {
    matches!(
        header.message_type,
        MessageType::CALL | MessageType::CALL_WITH_FDS
    )
}

/// The name of a call that changes something, and so deserves a line in the log.
pub(super) fn change(header: Header) -> Option<&'static str> {
    if !is_call(header) || header.program != Program::ADMIN {
        return None;
    }
    match header.procedure {
        procedure::SERVER_SET_THREADPOOL_PARAMETERS => Some("SERVER_SET_THREADPOOL_PARAMETERS"),
        procedure::CLIENT_CLOSE => Some("CLIENT_CLOSE"),
        procedure::SERVER_SET_CLIENT_LIMITS => Some("SERVER_SET_CLIENT_LIMITS"),
        procedure::CONNECT_SET_LOGGING_OUTPUTS => Some("CONNECT_SET_LOGGING_OUTPUTS"),
        procedure::CONNECT_SET_LOGGING_FILTERS => Some("CONNECT_SET_LOGGING_FILTERS"),
        procedure::SERVER_UPDATE_TLS_FILES => Some("SERVER_UPDATE_TLS_FILES"),
        procedure::CONNECT_SET_DAEMON_TIMEOUT => Some("CONNECT_SET_DAEMON_TIMEOUT"),
        procedure::CONNECT_DAEMON_SHUTDOWN => Some("CONNECT_DAEMON_SHUTDOWN"),
        _ => None,
    }
}

/// No flags are defined for most calls; libvirt names its own functions when it refuses some.
pub(super) fn no_flags(flags: u32, function: &str) -> Answer<()> {
    match flags {
        0 => Ok(()),
        _ => Err(Box::new(RemoteError::unsupported_flags(flags, function))),
    }
}

fn refuse(header: Header, error: &RemoteError) -> Outcome {
    Outcome::Answer(header.refusal().frame(error))
}

/// The arguments of a call, not read yet.
struct Arguments<'a> {
    frame: &'a Frame,
}

impl Arguments<'_> {
    /// All behind the head, and behind the number of descriptors if there is one. Descriptors that
    /// come along are closed by the kernel, since nobody takes them.
    fn bytes(&self) -> Option<&[u8]> {
        let payload = self.frame.payload.as_deref()?;
        if self.frame.header.message_type.has_fds() {
            payload.get(FrameHead::SIZE_WITH_FDS - FrameHead::SIZE..)
        } else {
            Some(payload)
        }
    }

    /// The answer to a call.
    fn answer<C: Call>(&self, act: impl FnOnce(&C) -> Answer<C::Reply>) -> Outcome {
        self.end(Outcome::Answer, act)
    }

    /// The answer to a call after which, if it is a good one, something ends.
    fn end<C: Call>(
        &self,
        outcome: impl FnOnce(Vec<u8>) -> Outcome,
        act: impl FnOnce(&C) -> Answer<C::Reply>,
    ) -> Outcome {
        let header = self.frame.header;
        // libvirt does not mind bytes behind the arguments.
        let arguments = self
            .bytes()
            .map(|bytes| C::decode_from(&mut Reader::new(bytes)));
        let reply = match &arguments {
            Some(Ok(arguments)) => act(arguments),
            _ => Err(Box::new(RemoteError::undecodable())),
        };
        match reply {
            Ok(reply) => outcome(header.reply().frame(&reply)),
            Err(error) => refuse(header, &error),
        }
    }
}
