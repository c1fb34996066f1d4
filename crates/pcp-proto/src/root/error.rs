//! Why bytes are not the PDU that they should be.

use super::header::PduType;

/// What is wrong with the bytes of a peer. After any of these the stream makes no sense any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// No PDU has this number.
    #[error("unknown PDU type {0:#x}")]
    UnknownType(i32),
    /// The server sends this type, and clients do not.
    #[error("{0} is no request")]
    NotARequest(PduType),
    /// Clients send this type, and the server does not.
    #[error("{0} is no answer")]
    NotAnAnswer(PduType),
    /// A length that this type cannot have: negative, shorter than its fields, or too long.
    #[error("{pdu_type} cannot be {len} bytes long ({min} to {max})")]
    Length {
        /// The type.
        pdu_type: PduType,
        /// The length field.
        len: i32,
        /// The shortest.
        min: usize,
        /// The longest.
        max: usize,
    },
    /// A version of the protocol that is not known here.
    #[error("protocol version {0} is not supported (1 and 2 are)")]
    Version(i32),
    /// A field has a value that it cannot have.
    #[error("{field} of {pdu_type} cannot be {value}")]
    BadValue {
        /// The type.
        pdu_type: PduType,
        /// The field.
        field: &'static str,
        /// Its value.
        value: i32,
    },
    /// The length of a text reaches beyond the PDU.
    #[error("{field} of {pdu_type} is said to have {stated} bytes, {available} are there")]
    Overrun {
        /// The type.
        pdu_type: PduType,
        /// The text.
        field: &'static str,
        /// Its length, as stated.
        stated: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A label fills its field, so that nothing terminates it.
    #[error("the label of {pdu_type} is not terminated: {stated} bytes in a field of 64")]
    Unterminated {
        /// The type.
        pdu_type: PduType,
        /// Its length, as stated.
        stated: usize,
    },
    /// Bytes are left after the last field.
    #[error("{count} bytes are left after the last field of {pdu_type}")]
    Trailing {
        /// The type.
        pdu_type: PduType,
        /// How many.
        count: usize,
    },
}
