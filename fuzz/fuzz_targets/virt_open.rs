//! CONNECT_OPEN and CONNECT_GET_URI, CONNECT_SUPPORTS_FEATURE and their answers.

#![no_main]

use gatehouse_fuzz::payload_round_trip;
use libfuzzer_sys::fuzz_target;
use virt_proto::{Open, Supported, SupportsFeature, Uri};

fuzz_target!(|payload: &[u8]| {
    payload_round_trip::<Open>(payload);
    payload_round_trip::<Supported>(payload);
    payload_round_trip::<SupportsFeature>(payload);
    payload_round_trip::<Uri>(payload);
});
