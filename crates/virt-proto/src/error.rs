//! Errors as libvirt sends them, and those that a proxy has to send by itself.

use std::fmt;

use crate::error_number::{ErrorDomain, ErrorLevel, ErrorNumber};
use crate::frame::Status;
use crate::program::{Procedure, Program};
use crate::xdr::{DecodeError, Payload, Reader, Writer};

/// The payload of frames with [`Status::ERROR`] (`remote_error`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError {
    /// What went wrong.
    pub number: ErrorNumber,
    /// Where it went wrong.
    pub domain: ErrorDomain,
    /// All that is shown to the user. As in all texts here, what is not UTF-8 is replaced.
    pub message: Option<String>,
    /// How bad it is.
    pub level: ErrorLevel,
    /// The domain that it is about; no longer used.
    pub dom: Option<Box<DomainName>>,
    /// The pattern of the message, the details in it, and a third one that is seldom there.
    pub texts: Box<[Option<String>; 3]>,
    /// -1, but for system errors, where the first is the errno.
    pub ints: [i32; 2],
    /// The network that it is about; no longer used.
    pub net: Option<Box<NetworkName>>,
}

/// A domain in an error (`remote_nonnull_domain`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainName {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Its number while it runs, else -1.
    pub id: i32,
}

/// A network in an error (`remote_nonnull_network`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkName {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: [u8; 16],
}

impl RemoteError {
    /// Details are cut after this many bytes, as libvirt cuts its own (`VIR_ERROR_MAX_LENGTH`, less
    /// the end of its buffer): a client's own words may come back in them.
    pub const DETAIL_MAX: usize = 1022;

    /// An error with libvirt's words for its number before the details.
    pub fn new(number: ErrorNumber, domain: ErrorDomain, detail: &str) -> RemoteError {
        let pattern = number.pattern();
        let detail = &detail[..detail.floor_char_boundary(RemoteError::DETAIL_MAX)];
        RemoteError {
            number,
            domain,
            message: Some(pattern.replacen("%s", detail, 1)),
            level: ErrorLevel::ERROR,
            dom: None,
            texts: Box::new([Some(pattern.to_owned()), Some(detail.to_owned()), None]),
            ints: [-1, -1],
            net: None,
        }
    }

    /// The protocol was not kept.
    pub fn rpc(detail: &str) -> RemoteError {
        RemoteError::new(ErrorNumber::RPC, ErrorDomain::RPC, detail)
    }

    /// Something went wrong in the daemon itself.
    pub fn internal(detail: &str) -> RemoteError {
        RemoteError::new(ErrorNumber::INTERNAL_ERROR, ErrorDomain::RPC, detail)
    }

    /// A system call failed; `detail` says which, and what the errno means.
    pub fn system(errno: i32, detail: &str) -> RemoteError {
        RemoteError {
            ints: [errno, -1],
            ..RemoteError::new(ErrorNumber::SYSTEM_ERROR, ErrorDomain::RPC, detail)
        }
    }

    /// The program has no such procedure. Comes even before [`RemoteError::auth_required`].
    pub fn unknown_procedure(procedure: Procedure) -> RemoteError {
        RemoteError::rpc(&format!("unknown procedure: {procedure}"))
    }

    /// There is no such program, or not in this version.
    pub fn unknown_program(program: Program, version: u32) -> RemoteError {
        RemoteError::rpc(&format!(
            "Cannot find program {} version {version}",
            program.0
        ))
    }

    /// A call with a status other than [`Status::OK`].
    pub fn unexpected_status(status: Status) -> RemoteError {
        RemoteError::rpc(&format!("Unexpected message status {}", status.0))
    }

    /// The arguments of a call make no sense.
    pub fn undecodable() -> RemoteError {
        RemoteError::rpc("Unable to decode message payload")
    }

    /// The call is for clients that have authenticated themselves. libvirt's number for this is not
    /// that of a failed authentication, for the sake of old clients.
    pub fn auth_required() -> RemoteError {
        RemoteError::rpc("authentication required")
    }

    /// The client is not who it says. What was wrong is for the log alone.
    pub fn auth_failed() -> RemoteError {
        RemoteError::new(
            ErrorNumber::AUTH_FAILED,
            ErrorDomain::RPC,
            "authentication failed",
        )
    }

    /// The call needs a driver, and none is open.
    pub fn not_open() -> RemoteError {
        RemoteError::internal("hypervisor connection not open")
    }

    /// A driver is open already.
    pub fn already_open() -> RemoteError {
        RemoteError::internal("connection already open")
    }

    /// A call has flags that are not defined for it; libvirt names its own function.
    pub fn unsupported_flags(flags: u32, function: &str) -> RemoteError {
        let message = format!("unsupported flags (0x{flags:x}) in function {function}");
        RemoteError {
            message: Some(message),
            texts: Box::new([Some(function.to_owned()), Some("flags".to_owned()), None]),
            ints: [0, 0],
            ..RemoteError::new(ErrorNumber::INVALID_ARG, ErrorDomain::ADMIN, "")
        }
    }

    /// There is no driver for a URI.
    pub fn no_driver(uri: &str) -> RemoteError {
        RemoteError::new(ErrorNumber::NO_CONNECT, ErrorDomain::NONE, uri)
    }

    /// The client may not do this.
    pub fn access_denied(detail: &str) -> RemoteError {
        RemoteError::new(ErrorNumber::ACCESS_DENIED, ErrorDomain::ACCESS, detail)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message),
            None => write!(f, "error {} without a message", self.number),
        }
    }
}

impl std::error::Error for RemoteError {}

impl Payload for RemoteError {
    fn encode_to(&self, writer: &mut Writer) {
        let [str1, str2, str3] = self.texts.each_ref().map(Option::as_deref);
        let [int1, int2] = self.ints;
        writer.i32(self.number.0);
        writer.i32(self.domain.0);
        writer.optional(self.message.as_deref(), Writer::string);
        writer.i32(self.level.0);
        writer.optional(self.dom.as_ref(), |writer, dom| dom.encode_to(writer));
        writer.optional(str1, Writer::string);
        writer.optional(str2, Writer::string);
        writer.optional(str3, Writer::string);
        writer.i32(int1);
        writer.i32(int2);
        writer.optional(self.net.as_ref(), |writer, net| net.encode_to(writer));
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(RemoteError {
            number: ErrorNumber(reader.i32("code")?),
            domain: ErrorDomain(reader.i32("domain")?),
            message: text(reader, "message")?,
            level: ErrorLevel(reader.i32("level")?),
            dom: reader.optional("dom", |reader| {
                DomainName::decode_from(reader).map(Box::new)
            })?,
            texts: Box::new([
                text(reader, "str1")?,
                text(reader, "str2")?,
                text(reader, "str3")?,
            ]),
            ints: [reader.i32("int1")?, reader.i32("int2")?],
            net: reader.optional("net", |reader| {
                NetworkName::decode_from(reader).map(Box::new)
            })?,
        })
    }
}

fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<String>, DecodeError> {
    reader.optional(field, |reader| reader.message(field))
}

impl Payload for DomainName {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.name);
        writer.fixed(&self.uuid);
        writer.i32(self.id);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(DomainName {
            name: reader.message("name")?,
            uuid: reader.fixed("uuid")?,
            id: reader.i32("id")?,
        })
    }
}

impl Payload for NetworkName {
    fn encode_to(&self, writer: &mut Writer) {
        writer.string(&self.name);
        writer.fixed(&self.uuid);
    }

    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(NetworkName {
            name: reader.message("name")?,
            uuid: reader.fixed("uuid")?,
        })
    }
}

#[cfg(test)]
mod tests;
