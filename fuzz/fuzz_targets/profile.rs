//! PROFILE.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::Profile;

fuzz_target!(|body: &[u8]| {
    round_trip::<Profile>(body);
});
