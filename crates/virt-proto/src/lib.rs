//! libvirt's RPC on the wire, without I/O.
//!
//! Everything here turns bytes into values and values into bytes: no sockets, no clock, no log.
//! Bytes come from strangers, so every parser returns a typed error and none panics.
//!
//! A frame is a [`FrameHead`] (length and [`Header`]) and a payload, which is something that
//! implements [`Payload`]. [`FrameLimit`] judges lengths, [`FrameHead::fds`] says how many
//! descriptors follow a frame. [`Header::frame`] makes frames, [`Header::reply`] and
//! [`Header::refusal`] the headers of answers. What nobody here knows (programs, procedures, types)
//! is a number like others, so that a proxy can hand it on.
//!
//! A proxy takes part in few calls, each a type that implements [`Call`]. Each is answered with its
//! reply or with a [`RemoteError`]:
//!
//! | procedure | call | reply |
//! | --- | --- | --- |
//! | AUTH_LIST | [`AuthList`] | [`AuthTypes`] |
//! | AUTH_SASL_INIT | [`SaslInit`] | [`SaslMechanisms`] |
//! | AUTH_SASL_START | [`SaslStart`] | [`SaslReply`] |
//! | AUTH_SASL_STEP | [`SaslStep`] | [`SaslReply`] |
//! | AUTH_POLKIT | [`AuthPolkit`] | [`PolkitReply`] |
//! | CONNECT_SUPPORTS_FEATURE | [`SupportsFeature`] | [`Supported`] |
//! | CONNECT_OPEN | [`Open`] | nothing |
//! | CONNECT_SET_IDENTITY | [`SetIdentity`], made from an [`Identity`] | nothing |
//! | CONNECT_GET_URI | [`GetUri`] | [`Uri`] |
//! | CONNECT_CLOSE | [`Close`] | nothing |
//!
//! The calls of the [`admin`] program, by which the daemon itself is looked at and changed, are in a
//! module of their own. The frames of the [`keepalive`] program carry nothing.
//!
//! Layouts and numbers are facts of libvirt's protocol files (`virnetprotocol.x`,
//! `remote_protocol.x`, `admin_protocol.x`, `virkeepaliveprotocol.x`), of its public headers, and of the traffic of a
//! real libvirtd 9.0. The encoding is XDR (RFC 4506). [`xdr`] has it in its own few lines: the
//! crates for it are no longer worked on (xdr-codec), under the GPL (serde-xdr), or make code from
//! protocol files (fastxdr), and libvirt's would have to be copied for that.

#![forbid(unsafe_code)]

pub mod admin;
mod auth;
mod call;
mod connect;
mod error;
mod error_number;
mod frame;
pub mod identity;
pub mod keepalive;
mod named;
mod program;
#[cfg(test)]
mod testing;
mod typed_param;
pub mod xdr;

pub use auth::{
    AuthList, AuthPolkit, AuthType, AuthTypes, PolkitReply, SaslData, SaslInit, SaslMechanisms,
    SaslReply, SaslStart, SaslStep,
};
pub use call::Call;
pub use connect::{Close, Feature, GetUri, Open, OpenFlags, Supported, SupportsFeature, Uri};
pub use error::{DomainName, NetworkName, RemoteError};
pub use error_number::{ErrorDomain, ErrorLevel, ErrorNumber};
pub use frame::{FrameHead, FrameLimit, Header, LengthError, MessageType, Serial, Status};
pub use identity::{Identity, SetIdentity};
pub use program::{Procedure, Program};
pub use typed_param::{TypedParam, TypedValue};
pub use xdr::{DecodeError, Payload};

/// The TCP port on which daemons listen unless told otherwise.
pub const TCP_PORT: u16 = 16509;

/// The TCP port on which daemons listen for TLS unless told otherwise.
pub const TLS_PORT: u16 = 16514;
