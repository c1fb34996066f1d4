//! AUTH, also called ATTR.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::Attribute;

fuzz_target!(|body: &[u8]| {
    round_trip::<Attribute>(body);
});
