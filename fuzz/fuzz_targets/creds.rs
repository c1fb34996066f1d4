//! CREDS, whole and from its head alone.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{Creds, Features};

fuzz_target!(|body: &[u8]| {
    round_trip::<Creds>(body);
    let _ = Creds::asks_for(body, Features::SECURE);
});
