//! LABEL_REQ and LABEL.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{LabelReq, Labels};

fuzz_target!(|body: &[u8]| {
    round_trip::<LabelReq>(body);
    round_trip::<Labels>(body);
});
