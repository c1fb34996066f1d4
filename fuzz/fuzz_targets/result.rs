//! RESULT and HIGHRES_RESULT.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{FetchResult, HighresResult};

fuzz_target!(|body: &[u8]| {
    round_trip::<FetchResult>(body);
    round_trip::<HighresResult>(body);
});
