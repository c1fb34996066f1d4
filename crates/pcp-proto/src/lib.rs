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
//! Then the client asks and pmcd answers, one after the other, each with the answer or an
//! [`ErrorPdu`]:
//!
//! | question | answer | what about |
//! | --- | --- | --- |
//! | [`PmnsNames`] | [`PmnsIds`] | identifiers of names |
//! | [`PmnsIds`], [`PmnsChild`], [`PmnsTraverse`] | [`PmnsNames`] | names |
//! | [`DescReq`] | [`Descriptor`] | what a metric is |
//! | [`DescIds`] | [`Descs`] | what several metrics are |
//! | [`InstanceReq`] | [`InstanceList`] | what a metric has values for |
//! | [`TextReq`] | [`Text`] | help |
//! | [`LabelReq`] | [`Labels`] | labels |
//! | [`Profile`] | none | which instances the fetches that follow are about |
//! | [`Fetch`] | [`FetchResult`] | values |
//! | [`HighresFetch`] | [`HighresResult`] | values |
//! | [`FetchResult`] | [`ErrorPdu`] | stores values |
//! | [`Attribute`] | depends | authentication, containers |
//!
//! An agent (PMDA) has the same conversation with pmcd, in the role of the server, except that both
//! begin with [`Creds`] and that pmcd tells it of clients who have left: an [`ErrorPdu`] with
//! [`Status::NOT_CONNECTED`]. The time in its results does not count.
//!
//! [`root`] is about something else, the socket of pmdaroot.
//!
//! All integers are big-endian. Layouts and numbers are facts of libpcp's protocol version 2, as
//! spoken by PCP 3 to 6 (upstream's `libpcp.h` and the traffic of a real pmcd).

#![forbid(unsafe_code)]

mod assembler;
mod attribute;
pub mod codec;
mod creds;
mod descriptor;
mod error;
mod features;
mod fetch;
pub mod greeting;
mod header;
mod instance;
mod labels;
mod metric;
mod names;
mod profile;
#[cfg(test)]
mod recorded;
mod result;
pub mod root;
mod status;
#[cfg(test)]
mod testing;
mod text;
mod units;
mod values;

pub use assembler::PduAssembler;
pub use attribute::{Attribute, AttributeKey};
pub use codec::{DecodeError, Pdu};
pub use creds::{Creds, VersionCred};
pub use descriptor::{DescIds, DescReq, Descs};
pub use error::ErrorPdu;
pub use features::Features;
pub use fetch::{Fetch, HighresFetch};
pub use header::{LengthError, PduHeader, PduLimit, PduType};
pub use instance::{InstanceList, InstanceReq};
pub use labels::{Label, LabelReq, LabelSet, LabelSubject, LabelText, Labels};
pub use metric::{Descriptor, InDom, Instance, PmId, Semantics, ValueType};
pub use names::{NodeKind, PmnsChild, PmnsIds, PmnsNames, PmnsTraverse};
pub use profile::{InDomProfile, Profile, Selection};
pub use result::{FetchResult, HighresResult};
pub use status::Status;
pub use text::{Text, TextKind, TextReq, TextSubject};
pub use units::{SpaceScale, TimeScale, Units};
pub use values::{ValueBlock, ValueSet, Values};

/// The TCP port on which pmcd listens unless told otherwise.
pub const PMCD_PORT: u16 = 44321;

/// The TCP port on which pmproxy listens unless told otherwise.
pub const PMPROXY_PORT: u16 = 44322;

/// The version of the protocol, as it stands in [`ErrorPdu`] and [`VersionCred`].
pub const PDU_VERSION: u8 = 2;
