//! The admin program: each kind of arguments that a client of it sends, and each kind of answer.

#![no_main]

use gatehouse_fuzz::payload_round_trip;
use libfuzzer_sys::fuzz_target;
use virt_proto::admin::{
    ClientInfo, ClientList, CloseClient, GetClientInfo, ListClients, LoggingFilters,
    LoggingOutputs, LookupClient, LookupServer, ServerList, SetClientLimits, SetLoggingFilters,
    SetLoggingOutputs, SetThreadpool, UpdateTlsFiles,
};

fuzz_target!(|payload: &[u8]| {
    payload_round_trip::<LookupServer>(payload);
    payload_round_trip::<ServerList>(payload);
    payload_round_trip::<SetThreadpool>(payload);
    payload_round_trip::<SetClientLimits>(payload);
    payload_round_trip::<UpdateTlsFiles>(payload);
    payload_round_trip::<ListClients>(payload);
    payload_round_trip::<ClientList>(payload);
    payload_round_trip::<LookupClient>(payload);
    payload_round_trip::<GetClientInfo>(payload);
    payload_round_trip::<ClientInfo>(payload);
    payload_round_trip::<CloseClient>(payload);
    payload_round_trip::<LoggingOutputs>(payload);
    payload_round_trip::<LoggingFilters>(payload);
    payload_round_trip::<SetLoggingOutputs>(payload);
    payload_round_trip::<SetLoggingFilters>(payload);
});
