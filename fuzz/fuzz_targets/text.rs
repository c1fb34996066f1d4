//! TEXT_REQ and TEXT.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{Text, TextReq};

fuzz_target!(|body: &[u8]| {
    round_trip::<Text>(body);
    round_trip::<TextReq>(body);
});
