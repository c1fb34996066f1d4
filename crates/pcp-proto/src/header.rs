//! The twelve bytes that open every PDU, the names of the PDU types, and the limit on lengths.

use std::fmt;

use crate::codec::{DecodeError, Reader};

/// What kind of PDU follows. A newer peer may use types that are not named here, so this is a
/// number with names rather than a closed list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PduType(pub u32);

macro_rules! pdu_types {
    ($($(#[$doc:meta])* $konst:ident = $number:literal, $name:literal;)*) => {
        impl PduType {
            $($(#[$doc])* pub const $konst: PduType = PduType($number);)*

            /// Every PDU type that has a name, in the order of their numbers.
            pub const ALL: &[PduType] = &[$(PduType::$konst),*];

            /// The name that PCP's own diagnostics use, if this type has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

pdu_types! {
    /// A status, and in its extended form the features of pmcd.
    ERROR = 0x7000, "ERROR";
    /// Metric values with a time stamp in microseconds.
    RESULT = 0x7001, "RESULT";
    /// Which instances the fetches that follow are about.
    PROFILE = 0x7002, "PROFILE";
    /// Asks for the values of metrics.
    FETCH = 0x7003, "FETCH";
    /// Asks for a metric's descriptor.
    DESC_REQ = 0x7004, "DESC_REQ";
    /// A metric's descriptor.
    DESC = 0x7005, "DESC";
    /// Asks for the instances of an instance domain.
    INSTANCE_REQ = 0x7006, "INSTANCE_REQ";
    /// Instances of an instance domain.
    INSTANCE = 0x7007, "INSTANCE";
    /// Asks for help text.
    TEXT_REQ = 0x7008, "TEXT_REQ";
    /// Help text.
    TEXT = 0x7009, "TEXT";
    /// Asks a logger or pmcd to do something; no longer sent by current clients.
    CONTROL_REQ = 0x700a, "CONTROL_REQ";
    /// The client's version and the features that it asks for.
    CREDS = 0x700c, "CREDS";
    /// A list of metric identifiers.
    PMNS_IDS = 0x700d, "PMNS_IDS";
    /// A list of metric names.
    PMNS_NAMES = 0x700e, "PMNS_NAMES";
    /// Asks for the children of a node of the metric name space.
    PMNS_CHILD = 0x700f, "PMNS_CHILD";
    /// Asks for all metrics below a node of the metric name space.
    PMNS_TRAVERSE = 0x7010, "PMNS_TRAVERSE";
    /// An attribute of the connection, or a step of an authentication.
    AUTH = 0x7011, "AUTH";
    /// Asks for labels.
    LABEL_REQ = 0x7012, "LABEL_REQ";
    /// Labels.
    LABEL = 0x7013, "LABEL";
    /// Asks for the values of metrics, to be stamped in nanoseconds.
    HIGHRES_FETCH = 0x7014, "HIGHRES_FETCH";
    /// Metric values with a time stamp in nanoseconds.
    HIGHRES_RESULT = 0x7015, "HIGHRES_RESULT";
    /// Asks for the descriptors of several metrics.
    DESC_IDS = 0x7016, "DESC_IDS";
    /// The descriptors of several metrics.
    DESCS = 0x7017, "DESCS";
}

impl fmt::Display for PduType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for PduType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The head of a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PduHeader {
    /// Length of the whole PDU in bytes, this header included.
    pub len: u32,
    /// What the body holds.
    pub pdu_type: PduType,
    /// The sender's process id, or for some PDUs its context; 0 when it does not matter.
    pub from: u32,
}

impl PduHeader {
    /// Size of the header on the wire, in bytes.
    pub const SIZE: usize = 12;

    /// Reads the header at the start of `bytes`; the length is not judged here, see [`PduLimit`].
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] with fewer than [`PduHeader::SIZE`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<PduHeader, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(PduHeader {
            len: reader.u32("length")?,
            pdu_type: PduType(reader.u32("type")?),
            from: reader.u32("from")?,
        })
    }

    /// The header as it goes over the wire.
    pub fn encode(&self) -> [u8; PduHeader::SIZE] {
        let mut bytes = [0; PduHeader::SIZE];
        bytes[..4].copy_from_slice(&self.len.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.pdu_type.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.from.to_be_bytes());
        bytes
    }
}

/// The largest PDU that is accepted, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PduLimit(u32);

impl PduLimit {
    /// What pmcd and pmproxy accept from clients unless told otherwise.
    pub const DEFAULT: PduLimit = PduLimit(65536);

    /// The largest limit there is: lengths are signed in libpcp.
    pub const MAX: PduLimit = PduLimit(i32::MAX as u32);

    /// A limit of `bytes`, if a PDU can be as short as a header and no longer than [`PduLimit::MAX`].
    pub fn new(bytes: u32) -> Option<PduLimit> {
        let header = u32::try_from(PduHeader::SIZE).ok()?;
        (header..=PduLimit::MAX.0)
            .contains(&bytes)
            .then_some(PduLimit(bytes))
    }

    /// The limit in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// Judges the length field of a PDU.
    ///
    /// # Errors
    /// [`LengthError`] when the length is below that of a header or above the limit.
    pub fn check(self, len: u32) -> Result<u32, LengthError> {
        if (len as usize) < PduHeader::SIZE {
            Err(LengthError::TooShort { len })
        } else if len > self.0 {
            Err(LengthError::TooLong { len, limit: self.0 })
        } else {
            Ok(len)
        }
    }
}

/// A length field that no honest peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// Shorter than the header that carries it.
    #[error("PDU length {len} is shorter than a PDU header (12 bytes)")]
    TooShort {
        /// The length field.
        len: u32,
    },
    /// Longer than the limit.
    #[error("PDU length {len} is over the limit of {limit} bytes")]
    TooLong {
        /// The length field.
        len: u32,
        /// The limit in force.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_and_unknown_ones_show_their_number() {
        for pdu_type in PduType::ALL {
            assert!(pdu_type.name().is_some());
        }
        assert_eq!(PduType::HIGHRES_FETCH.to_string(), "HIGHRES_FETCH");
        assert_eq!(PduType(0x7099).to_string(), "0x7099");
    }

    #[test]
    fn a_length_is_judged_at_both_ends() {
        let limit = PduLimit::new(65536).unwrap();
        assert_eq!(limit.check(11), Err(LengthError::TooShort { len: 11 }));
        assert_eq!(limit.check(12), Ok(12));
        assert_eq!(limit.check(65536), Ok(65536));
        assert_eq!(
            limit.check(65537),
            Err(LengthError::TooLong {
                len: 65537,
                limit: 65536
            })
        );
        assert_eq!(PduLimit::new(11), None);
        assert_eq!(PduLimit::new(0x8000_0000), None);
    }

    proptest::proptest! {
        #[test]
        fn a_header_survives_the_wire(len: u32, pdu_type: u32, from: u32) {
            let header = PduHeader { len, pdu_type: PduType(pdu_type), from };
            proptest::prop_assert_eq!(PduHeader::decode(&header.encode()), Ok(header));
        }
    }
}
