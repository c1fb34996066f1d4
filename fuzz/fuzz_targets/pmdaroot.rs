//! What pmdaroot and its clients say to each other, as bytes come, and with a length that fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pcp_proto::root::{Answer, Next, Request, Version};

fuzz_target!(|bytes: &[u8]| {
    round_trip(bytes);
    let mut fitting = bytes.to_vec();
    if let (Some(field), Ok(len)) = (fitting.get_mut(4..8), i32::try_from(bytes.len())) {
        field.copy_from_slice(&len.to_ne_bytes());
        round_trip(&fitting);
    }
});

/// What can be read must be the same when it is sent and read again.
fn round_trip(bytes: &[u8]) {
    if let Some(pdu) = whole(bytes.len(), Request::next(bytes)) {
        let sent = pdu.encode(Version::V2);
        assert_eq!(whole(sent.len(), Request::next(&sent)), Some(pdu));
    }
    if let Some(pdu) = whole(bytes.len(), Answer::next(bytes)) {
        let sent = pdu.encode(Version::V2);
        assert_eq!(whole(sent.len(), Answer::next(&sent)), Some(pdu));
    }
}

/// The PDU, if all of it is there.
fn whole<T, E>(have: usize, next: Result<Next<T>, E>) -> Option<T> {
    match next.ok()? {
        Next::Missing(missing) => {
            assert!(missing > 0);
            None
        }
        Next::Whole { pdu, len, .. } => {
            assert!(len <= have);
            Some(pdu)
        }
    }
}
