//! PMNS_IDS, PMNS_NAMES, PMNS_CHILD and PMNS_TRAVERSE.

#![no_main]

use gatehouse_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use pcp_proto::{PmnsChild, PmnsIds, PmnsNames, PmnsTraverse};

fuzz_target!(|body: &[u8]| {
    round_trip::<PmnsChild>(body);
    round_trip::<PmnsIds>(body);
    round_trip::<PmnsNames>(body);
    round_trip::<PmnsTraverse>(body);
});
