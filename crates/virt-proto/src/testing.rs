//! What the tests of the other modules share.

use std::fmt::Debug;

use crate::{FrameHead, Payload};

/// Bytes in hexadecimal digits; blanks do not count.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Encodes and decodes again, which must give the same.
#[track_caller]
pub(crate) fn round_trip<P: Payload + PartialEq + Debug>(value: &P) {
    let mut writer = crate::xdr::Writer::default();
    value.encode_to(&mut writer);
    assert_eq!(P::decode(&writer.into_bytes()).as_ref(), Ok(value));
}

/// Reads the payload of a recorded frame, and makes sure that the frame is written in the same way.
#[track_caller]
pub(crate) fn recorded<P: Payload>(frame: &str) -> P {
    let frame = hex(frame);
    let head = FrameHead::decode(&frame).unwrap();
    let payload = P::decode(&frame[FrameHead::SIZE..]).unwrap();
    assert_eq!(head.header.frame(&payload), frame);
    payload
}
