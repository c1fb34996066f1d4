//! AUTH_LIST, AUTH_SASL_INIT, AUTH_SASL_START, AUTH_SASL_STEP, AUTH_POLKIT and their answers.

#![no_main]

use gatehouse_fuzz::payload_round_trip;
use libfuzzer_sys::fuzz_target;
use virt_proto::{AuthTypes, PolkitReply, SaslMechanisms, SaslReply, SaslStart, SaslStep};

fuzz_target!(|payload: &[u8]| {
    payload_round_trip::<AuthTypes>(payload);
    payload_round_trip::<PolkitReply>(payload);
    payload_round_trip::<SaslMechanisms>(payload);
    payload_round_trip::<SaslReply>(payload);
    payload_round_trip::<SaslStart>(payload);
    payload_round_trip::<SaslStep>(payload);
});
