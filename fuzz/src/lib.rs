//! What the fuzz targets share: what is decoded must be the same after another round.

#![forbid(unsafe_code)]

use std::fmt::Debug;

use pcp_proto::{Pdu, PduHeader};
use virt_proto::Payload;
use virt_proto::xdr::Writer;

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

/// Decodes a payload of libvirt's RPC. When that works, encodes it, and decodes and encodes it once
/// more. Bytes are compared, since a typed parameter can be a number that does not equal itself.
///
/// # Panics
/// When what was encoded cannot be decoded, or becomes something else.
pub fn payload_round_trip<P: Payload>(bytes: &[u8]) {
    let Ok(value) = P::decode(bytes) else { return };
    let first = encoded(&value);
    let again = P::decode(&first).expect("what was encoded can be decoded");
    assert_eq!(encoded(&again), first);
}

fn encoded(value: &impl Payload) -> Vec<u8> {
    let mut writer = Writer::default();
    value.encode_to(&mut writer);
    writer.into_bytes()
}
