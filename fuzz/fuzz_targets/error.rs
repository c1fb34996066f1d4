//! ERROR, plain and extended.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::ErrorPdu;

fuzz_target!(|body: &[u8]| {
    round_trip::<ErrorPdu>(body);
});
