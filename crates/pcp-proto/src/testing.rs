//! What the tests of the PDU modules share.

use std::fmt::Debug;

use crate::{Pdu, PduHeader, PduType};

/// The whole PDU around a body in hexadecimal digits; blanks do not count.
pub(crate) fn pdu(pdu_type: PduType, body: &str) -> Vec<u8> {
    let digits: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let body = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    let mut bytes = vec![0; PduHeader::SIZE];
    bytes.extend(body);
    let header = PduHeader {
        len: u32::try_from(bytes.len()).unwrap(),
        pdu_type,
        from: 0,
    };
    bytes[..PduHeader::SIZE].copy_from_slice(&header.encode());
    bytes
}

/// Encodes and decodes again, which must give the same.
#[track_caller]
pub(crate) fn round_trip<P: Pdu + PartialEq + Debug>(value: &P) {
    assert_eq!(P::decode(&value.encode(7)).as_ref(), Ok(value));
}
