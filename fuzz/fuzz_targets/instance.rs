//! INSTANCE_REQ and INSTANCE.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{InstanceList, InstanceReq};

fuzz_target!(|body: &[u8]| {
    round_trip::<InstanceList>(body);
    round_trip::<InstanceReq>(body);
});
