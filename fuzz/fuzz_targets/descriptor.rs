//! DESC_REQ, DESC, DESC_IDS and DESCS.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{DescIds, DescReq, Descriptor, Descs};

fuzz_target!(|body: &[u8]| {
    round_trip::<DescIds>(body);
    round_trip::<DescReq>(body);
    round_trip::<Descriptor>(body);
    round_trip::<Descs>(body);
});
