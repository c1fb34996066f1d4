//! The Performance Co-Pilot (PCP) protocol on the wire, without I/O.
//!
//! Everything here turns bytes into values and values into bytes: no sockets, no clock, no log.
//! Bytes come from strangers, so every parser returns a typed error and none panics.
//!
//! Start with [`PduAssembler`], which cuts a stream into whole PDUs however the bytes arrive, and
//! [`Pdu`], which every PDU type implements. [`PduHeader`] and [`PduType`] are the twelve bytes that
//! open each of them. A session with pmcd begins with an [`ErrorPdu`] from pmcd (its features) and
//! a [`Creds`] from the client; a session with pmproxy begins with the two lines in [`greeting`].
//!
//! All integers are big-endian. Layouts and numbers are facts of libpcp's protocol version 2, as
//! spoken by PCP 3 to 6 (upstream's `libpcp.h` and the traffic of a real pmcd).

#![forbid(unsafe_code)]

mod assembler;
pub mod codec;
mod creds;
mod error;
mod features;
pub mod greeting;
mod header;
mod status;

pub use assembler::PduAssembler;
pub use codec::{DecodeError, Pdu};
pub use creds::{Creds, VersionCred};
pub use error::ErrorPdu;
pub use features::Features;
pub use header::{LengthError, PduHeader, PduLimit, PduType};
pub use status::Status;

/// The TCP port on which pmcd listens unless told otherwise.
pub const PMCD_PORT: u16 = 44321;

/// The TCP port on which pmproxy listens unless told otherwise.
pub const PMPROXY_PORT: u16 = 44322;

/// The version of the protocol, as it stands in [`ErrorPdu`] and [`VersionCred`].
pub const PDU_VERSION: u8 = 2;
