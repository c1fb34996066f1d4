//! What the fuzz targets share: what is decoded must be the same after another round.

#![forbid(unsafe_code)]

use std::fmt::Debug;

use pcp_proto::{Pdu, PduHeader};

/// Decodes `body` as the body of a PDU. When that works, encodes it and decodes it again.
///
/// # Panics
/// When the second value is not the first.
pub fn round_trip<P: Pdu + PartialEq + Debug>(body: &[u8]) {
    let Some(pdu) = with_header::<P>(body) else {
        return;
    };
    let Ok(value) = P::decode(&pdu) else { return };
    let again = P::decode(&value.encode(0));
    assert_eq!(again, Ok(value));
}

/// A fuzzer seldom finds a length that is right, so the header is put before the body.
fn with_header<P: Pdu>(body: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(PduHeader::SIZE + body.len()).ok()?;
    let header = PduHeader {
        len,
        pdu_type: P::TYPE,
        from: 0,
    };
    Some([&header.encode()[..], body].concat())
}
