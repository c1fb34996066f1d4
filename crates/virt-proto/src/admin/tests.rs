//! Tests of the admin program: what virt-admin and libvirtd 9.0 said, then the wire in general.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::frame::Serial;
use crate::testing::{hex, recorded, round_trip};
use crate::typed_param::tests::typed_params;
use crate::{
    Call, DecodeError, ErrorDomain, ErrorNumber, Payload, RemoteError, TypedParam, TypedValue,
};

fn server(name: &str) -> ServerName {
    ServerName { name: name.into() }
}

fn uint(name: &str, value: u32) -> TypedParam {
    TypedParam::new(name, TypedValue::Uint(value))
}

#[test]
fn the_beginning_and_the_end_of_a_real_client_are_understood() {
    let open: Open =
        recorded("00000020 06900690 00000001 00000001 00000000 00000000 00000000 00000000");
    assert_eq!(open, Open { flags: 0 });
    let close = hex("0000001c 06900690 00000001 00000002 00000000 00000002 00000000");
    assert_eq!(Close.frame(Serial(2)), close);
    let ask = hex("0000001c 06900690 00000001 00000003 00000000 00000001 00000000");
    assert_eq!(GetLibVersion.frame(Serial(1)), ask);
    let version: LibVersion = recorded(
        "00000024 06900690 00000001 00000003 00000001 00000001 00000000 00000000 00895440",
    );
    assert_eq!(version.version, 9_000_000);
}

#[test]
fn the_servers_of_a_real_libvirtd_are_understood() {
    let list: ListServers = recorded(
        "00000024 06900690 00000001 00000004 00000000 00000001 00000000 00000001 00000000",
    );
    assert_eq!(list.need_results, 1);
    let servers: ServerList = recorded(
        "0000003c 06900690 00000001 00000004 00000001 00000001 00000000
         00000002 00000005 61646d69 6e000000 00000008 6c696276 69727464 00000002",
    );
    assert_eq!(servers.servers, [server("admin"), server("libvirtd")]);
    let lookup: LookupServer = recorded(
        "0000002c 06900690 00000001 00000005 00000000 00000001 00000000
         00000008 6c696276 69727464 00000000",
    );
    let found: ServerName = recorded(
        "00000028 06900690 00000001 00000005 00000001 00000001 00000000 00000008 6c696276 69727464",
    );
    assert_eq!(found.name, lookup.name);
}

#[test]
fn the_threads_of_a_real_libvirtd_are_understood() {
    let get: GetThreadpool = recorded(
        "0000002c 06900690 00000001 00000006 00000000 00000002 00000000
         00000008 6c696276 69727464 00000000",
    );
    assert_eq!(get.server, server("libvirtd"));
    let Threadpool { params } = recorded(
        "000000b0 06900690 00000001 00000006 00000001 00000002 00000000 00000006
         0000000a 6d696e57 6f726b65 72730000 00000002 00000005
         0000000a 6d617857 6f726b65 72730000 00000002 00000014
         00000008 6e576f72 6b657273 00000002 00000005
         0000000b 66726565 576f726b 65727300 00000002 00000005
         0000000b 7072696f 576f726b 65727300 00000002 00000005
         0000000d 6a6f6251 75657565 44657074 68000000 00000002 00000000",
    );
    let expected = [
        uint(param::WORKERS_MIN, 5),
        uint(param::WORKERS_MAX, 20),
        uint(param::WORKERS_CURRENT, 5),
        uint(param::WORKERS_FREE, 5),
        uint(param::WORKERS_PRIORITY, 5),
        uint(param::JOB_QUEUE_DEPTH, 0),
    ];
    assert_eq!(params.0, expected);
}

#[test]
fn a_change_of_threads_by_a_real_client_is_understood() {
    let set: SetThreadpool = recorded(
        "00000078 06900690 00000001 00000007 00000000 00000002 00000000
         00000008 6c696276 69727464 00000003
         0000000a 6d617857 6f726b65 72730000 00000002 0000001e
         0000000a 6d696e57 6f726b65 72730000 00000002 00000006
         0000000b 7072696f 576f726b 65727300 00000002 00000007 00000000",
    );
    let expected = [
        uint(param::WORKERS_MAX, 30),
        uint(param::WORKERS_MIN, 6),
        uint(param::WORKERS_PRIORITY, 7),
    ];
    assert_eq!(set.params.0, expected);
}

#[test]
fn the_clients_of_a_real_libvirtd_are_understood() {
    let list: ListClients = recorded(
        "00000030 06900690 00000001 00000008 00000000 00000002 00000000
         00000008 6c696276 69727464 00000001 00000000",
    );
    assert_eq!(list.server, server("libvirtd"));
    let clients: ClientList = recorded(
        "00000044 06900690 00000001 00000008 00000001 00000002 00000000 00000001
         00000008 6c696276 69727464 00000000 00000001 00000000 6b014bf6 00000000 00000001",
    );
    let client = Client {
        server: server("libvirtd"),
        id: 1,
        timestamp: 1_795_247_094,
        transport: Transport::UNIX,
    };
    assert_eq!(clients.clients, std::slice::from_ref(&client));
    let lookup: LookupClient = recorded(
        "00000034 06900690 00000001 00000009 00000000 00000002 00000000
         00000008 6c696276 69727464 00000000 00000001 00000000",
    );
    assert_eq!(lookup.id, 1);
    let close: CloseClient = recorded(
        "00000040 06900690 00000001 0000000b 00000000 00000003 00000000
         00000008 6c696276 69727464 00000000 00000001 00000000 6b014bf6 00000000 00000000",
    );
    assert_eq!(close.client, client);
}

#[test]
fn who_a_client_is_comes_as_a_real_libvirtd_tells_it() {
    let get: GetClientInfo = recorded(
        "00000040 06900690 00000001 0000000a 00000000 00000003 00000000
         00000008 6c696276 69727464 00000000 00000001 00000000 6b014bf6 00000000 00000000",
    );
    assert_eq!(get.client.id, 1);
    let ClientInfo { params } = recorded(
        "000000c4 06900690 00000001 0000000a 00000001 00000003 00000000 00000006
         00000008 72656164 6f6e6c79 00000006 00000000
         0000000c 756e6978 5f757365 725f6964 00000001 00000000
         0000000e 756e6978 5f757365 725f6e61 6d650000 00000007 00000004 726f6f74
         0000000d 756e6978 5f67726f 75705f69 64000000 00000001 00000000
         0000000f 756e6978 5f67726f 75705f6e 616d6500 00000007 00000004 726f6f74
         0000000f 756e6978 5f70726f 63657373 5f696400 00000001 00007dad",
    );
    let root = || TypedValue::String("root".into());
    let expected = [
        TypedParam::new(param::READ_ONLY, TypedValue::Boolean(false)),
        TypedParam::new(param::UNIX_USER_ID, TypedValue::Int(0)),
        TypedParam::new(param::UNIX_USER_NAME, root()),
        TypedParam::new(param::UNIX_GROUP_ID, TypedValue::Int(0)),
        TypedParam::new(param::UNIX_GROUP_NAME, root()),
        TypedParam::new(param::UNIX_PROCESS_ID, TypedValue::Int(32173)),
    ];
    assert_eq!(params.0, expected);
}

#[test]
fn the_limits_of_a_real_libvirtd_are_understood() {
    let ClientLimits { params } = recorded(
        "00000088 06900690 00000001 0000000c 00000001 00000002 00000000 00000004
         0000000c 6e636c69 656e7473 5f6d6178 00000002 00001388
         00000008 6e636c69 656e7473 00000002 00000001
         00000013 6e636c69 656e7473 5f756e61 7574685f 6d617800 00000002 00000014
         0000000f 6e636c69 656e7473 5f756e61 75746800 00000002 00000000",
    );
    let expected = [
        uint(param::CLIENTS_MAX, 5000),
        uint(param::CLIENTS_CURRENT, 1),
        uint(param::CLIENTS_UNAUTH_MAX, 20),
        uint(param::CLIENTS_UNAUTH_CURRENT, 0),
    ];
    assert_eq!(params.0, expected);
    let set: SetClientLimits = recorded(
        "00000068 06900690 00000001 0000000d 00000000 00000002 00000000
         00000008 6c696276 69727464 00000002
         0000000c 6e636c69 656e7473 5f6d6178 00000002 00000064
         00000013 6e636c69 656e7473 5f756e61 7574685f 6d617800 00000002 0000000a 00000000",
    );
    assert_eq!(set.params.0.len(), 2);
}

#[test]
fn the_log_of_a_real_libvirtd_is_understood() {
    let none: LoggingFilters = recorded(
        "00000024 06900690 00000001 0000000f 00000001 00000001 00000000 00000000 00000000",
    );
    assert_eq!(none.filters, None);
    let two: LoggingFilters = recorded(
        "0000003c 06900690 00000001 0000000f 00000001 00000001 00000000
         00000001 00000011 313a2a75 74696c2a 20343a2a 7270632a 20000000 00000002",
    );
    assert_eq!(two.filters.as_deref(), Some("1:*util* 4:*rpc* "));
    assert_eq!(two.count, 2);
    let outputs: LoggingOutputs = recorded(
        "0000002c 06900690 00000001 0000000e 00000001 00000001 00000000
         00000008 333a7374 64657272 00000001",
    );
    assert_eq!((&*outputs.outputs, outputs.count), ("3:stderr", 1));
    let empty: SetLoggingFilters = recorded(
        "00000028 06900690 00000001 00000011 00000000 00000001 00000000
         00000001 00000000 00000000",
    );
    assert_eq!(empty.filters.as_deref(), Some(""));
    let bogus: SetLoggingOutputs = recorded(
        "00000030 06900690 00000001 00000010 00000000 00000001 00000000
         00000001 00000005 626f6775 73000000 00000000",
    );
    assert_eq!(bogus.outputs.as_deref(), Some("bogus"));
}

#[test]
fn what_else_a_real_client_asks_of_the_daemon_is_understood() {
    let tls: UpdateTlsFiles = recorded(
        "0000002c 06900690 00000001 00000012 00000000 00000002 00000000
         00000008 6c696276 69727464 00000000",
    );
    assert_eq!(tls.server, server("libvirtd"));
    let timeout: SetDaemonTimeout = recorded(
        "00000024 06900690 00000001 00000013 00000000 00000001 00000000 000001f4 00000000",
    );
    assert_eq!(timeout.timeout, 500);
}

#[test]
fn flags_without_a_meaning_are_refused_in_the_words_of_libvirtd() {
    let error: RemoteError = recorded(
        "000000b0 06900690 00000001 00000001 00000001 00000007 00000001 00000008 0000003e
         00000001 0000003c 756e737570706f7274656420666c61677320283078312920696e2066756e63
         74696f6e2061646d696e4469737061746368436f6e6e6563744f70656e 00000002 00000000
         00000001 00000018 61646d696e4469737061746368436f6e6e6563744f70656e
         00000001 00000005 666c616773000000 00000000 00000000 00000000 00000000",
    );
    let expected = RemoteError::unsupported_flags(1, "adminDispatchConnectOpen");
    assert_eq!(error, expected);
}

#[test]
fn what_is_not_there_is_told_in_the_words_of_libvirtd() {
    let argument: RemoteError = recorded(
        "000000c0 06900690 00000001 00000007 00000001 00000007 00000001 0000004a 00000000
         00000001 00000033 617267756d656e7420756e737570706f727465643a20706172616d657465722027
         666f6f27206e6f7420737570706f7274656400 00000002 00000000
         00000001 00000018 617267756d656e7420756e737570706f727465643a202573
         00000001 0000001d 706172616d657465722027666f6f27206e6f7420737570706f72746564000000
         00000000 ffffffff ffffffff 00000000",
    );
    let detail = "parameter 'foo' not supported";
    let expected = RemoteError::new(ErrorNumber::ARGUMENT_UNSUPPORTED, ErrorDomain::NONE, detail);
    assert_eq!(argument, expected);
    let server: RemoteError = recorded(
        "000000a4 06900690 00000001 00000005 00000001 00000007 00000001 0000005f 00000007
         00000001 00000025 536572766572206e6f7420666f756e643a204e6f20736572766572206e616d6564
         202778 27000000 00000002 00000000
         00000001 00000014 536572766572206e6f7420666f756e643a202573
         00000001 00000013 4e6f20736572766572206e616d6564202778 2700
         00000000 ffffffff ffffffff 00000000",
    );
    let expected = RemoteError::new(
        ErrorNumber::NO_SERVER,
        ErrorDomain::RPC,
        "No server named 'x'",
    );
    assert_eq!(server, expected);
}

#[test]
fn longer_lists_than_libvirt_allows_are_refused() {
    let mut bytes = hex("00000001 78000000 00000021");
    bytes.extend([0; 33 * 12]);
    let refused = SetThreadpool::decode(&bytes);
    assert!(
        matches!(
            refused,
            Err(DecodeError::TooLong {
                len: 33,
                limit: 32,
                ..
            })
        ),
        "{refused:?}"
    );
    let mut bytes = hex("00004001");
    bytes.extend([0; 16385 * 4]);
    let refused = ServerList::decode(&bytes);
    assert!(
        matches!(
            refused,
            Err(DecodeError::TooLong {
                len: 16385,
                limit: 16384,
                ..
            })
        ),
        "{refused:?}"
    );
}

fn servers() -> impl Strategy<Value = ServerName> {
    "[^\0]{0,20}".prop_map(|name| ServerName { name })
}

fn clients() -> impl Strategy<Value = Client> {
    (servers(), any::<(u64, i64, u32)>()).prop_map(|(server, (id, timestamp, transport))| Client {
        server,
        id,
        timestamp,
        transport: Transport(transport),
    })
}

proptest! {
    #[test]
    fn calls_about_servers_survive_the_wire(
        server in servers(), params in vec(typed_params(), 0..=32), flags: u32, servers in vec(servers(), 0..8),
    ) {
        let count = flags;
        round_trip(&ServerList { servers, count });
        round_trip(&LookupServer { name: server.name.clone(), flags });
        round_trip(&GetThreadpool { server: server.clone(), flags });
        round_trip(&Threadpool { params: Params(params.clone()) });
        round_trip(&SetThreadpool { server: server.clone(), params: Params(params.clone()), flags });
        round_trip(&GetClientLimits { server: server.clone(), flags });
        round_trip(&ClientLimits { params: Params(params.clone()) });
        round_trip(&SetClientLimits { server: server.clone(), params: Params(params), flags });
        round_trip(&UpdateTlsFiles { server, flags });
    }

    #[test]
    fn calls_about_clients_survive_the_wire(
        clients in vec(clients(), 1..8), params in vec(typed_params(), 0..=64), flags: u32,
    ) {
        let client = clients[0].clone();
        let server = client.server.clone();
        round_trip(&ListClients { server: server.clone(), need_results: flags, flags });
        round_trip(&LookupClient { server, id: client.id, flags });
        round_trip(&client);
        round_trip(&GetClientInfo { client: client.clone(), flags });
        round_trip(&CloseClient { client, flags });
        round_trip(&ClientInfo { params: Params(params) });
        round_trip(&ClientList { clients, count: flags });
    }

    #[test]
    fn calls_about_the_daemon_survive_the_wire(
        text in prop::option::of("[^\0]{0,40}"), flags: u32, count: u32, version: u64,
    ) {
        round_trip(&Open { flags });
        round_trip(&LibVersion { version });
        round_trip(&ListServers { need_results: count, flags });
        round_trip(&GetLoggingOutputs { flags });
        round_trip(&GetLoggingFilters { flags });
        round_trip(&LoggingOutputs { outputs: text.clone().unwrap_or_default(), count });
        round_trip(&LoggingFilters { filters: text.clone(), count });
        round_trip(&SetLoggingOutputs { outputs: text.clone(), flags });
        round_trip(&SetLoggingFilters { filters: text, flags });
        round_trip(&SetDaemonTimeout { timeout: count, flags });
        round_trip(&DaemonShutdown { flags });
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..96)) {
        let _ = ServerList::decode(&bytes);
        let _ = SetThreadpool::decode(&bytes);
        let _ = ClientList::decode(&bytes);
        let _ = ClientInfo::decode(&bytes);
        let _ = CloseClient::decode(&bytes);
        let _ = LoggingFilters::decode(&bytes);
        let _ = SetLoggingOutputs::decode(&bytes);
    }
}
