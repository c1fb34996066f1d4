//! CONNECT_SET_IDENTITY, whose parameters are of every type.

#![no_main]

use gatehouse_fuzz::payload_round_trip;
use libfuzzer_sys::fuzz_target;
use virt_proto::SetIdentity;

fuzz_target!(|payload: &[u8]| {
    payload_round_trip::<SetIdentity>(payload);
});
