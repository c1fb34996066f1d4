//! FETCH and HIGHRES_FETCH.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{Fetch, HighresFetch};

fuzz_target!(|body: &[u8]| {
    round_trip::<Fetch>(body);
    round_trip::<HighresFetch>(body);
});
