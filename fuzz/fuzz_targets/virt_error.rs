//! The errors of libvirt's RPC.

#![no_main]

use gatehouse_fuzz::payload_round_trip;
use libfuzzer_sys::fuzz_target;
use virt_proto::RemoteError;

fuzz_target!(|payload: &[u8]| {
    payload_round_trip::<RemoteError>(payload);
});
