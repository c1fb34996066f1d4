//! Frames that virt-admin does not send. Where libvirtd 9.0 is named, it did the same.

use std::os::fd::AsFd;

use testbed::eventually;
use virt_proto::admin::{
    self, GetThreadpool, ListServers, Params, ServerList, ServerName, SetClientLimits,
    SetThreadpool, param,
};
use virt_proto::{Call, ErrorDomain, ErrorNumber, MessageType, TypedParam, TypedValue, keepalive};

use super::*;

fn version() -> Header {
    call(procedure::CONNECT_GET_LIB_VERSION, 7)
}

fn server() -> ServerName {
    ServerName {
        name: "virtproxyd".into(),
    }
}

#[test]
fn nothing_has_to_wait_for_the_opening() {
    // libvirtd 9.0, and it takes a second opening.
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.is_alive();
    for _ in 0..2 {
        wire.send(&admin::Open { flags: 0 }.frame(Serial(0)));
        assert_eq!(wire.receive().0.status, Status::OK);
    }
    wire.send(&admin::Open { flags: 1 }.frame(Serial(0)));
    let error = RemoteError::unsupported_flags(1, "adminDispatchConnectOpen");
    assert_eq!(wire.error(), error);
    wire.is_alive();
}

#[test]
fn unknown_procedures_programs_and_versions_are_refused_and_the_connection_lives_on() {
    // libvirtd 9.0.
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for number in [0, 21, 99, -1, i32::MAX] {
        let procedure = Procedure(number);
        wire.send(&call(procedure, 7).frame(&()));
        assert_eq!(wire.error(), RemoteError::unknown_procedure(procedure));
    }
    for (program, version) in [
        (Program::REMOTE, 1),
        (Program::ADMIN, 2),
        (Program::KEEPALIVE, 1),
    ] {
        let header = Header {
            program,
            version,
            ..self::version()
        };
        wire.send(&header.frame(&()));
        assert_eq!(wire.error(), RemoteError::unknown_program(program, version));
    }
    wire.is_alive();
}

#[test]
fn a_status_in_a_call_is_refused() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let header = Header {
        status: Status::CONTINUE,
        ..version()
    };
    wire.send(&header.frame(&()));
    assert_eq!(
        wire.error(),
        RemoteError::unexpected_status(Status::CONTINUE)
    );
    wire.is_alive();
}

#[test]
fn what_is_no_call_is_dropped() {
    // libvirtd 9.0.
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for kind in [1, 2, 3, 6, 7, u32::MAX] {
        for program in [Program::ADMIN, Program(5)] {
            let header = Header {
                program,
                message_type: MessageType(kind),
                ..version()
            };
            wire.send(&header.frame(&()));
        }
    }
    wire.is_alive();
}

#[test]
fn arguments_that_cannot_be_read_are_refused() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let list = call(procedure::CONNECT_LIST_SERVERS, 7);
    wire.send(&list.frame(&admin::Open { flags: 1 }));
    assert_eq!(wire.error(), RemoteError::undecodable());
    let param = TypedParam::new("a", TypedValue::Uint(1));
    let many = admin::ClientInfo {
        params: Params(vec![param; 33]),
    };
    wire.send(&call(procedure::SERVER_SET_THREADPOOL_PARAMETERS, 7).frame(&many));
    assert_eq!(wire.error(), RemoteError::undecodable());
    wire.is_alive();
}

#[test]
fn bytes_behind_the_arguments_do_not_matter() {
    // libvirtd 9.0 does not look at them.
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.send(&version().frame(&LibVersion { version: 1 }));
    assert_eq!(wire.receive().0, version().reply());
    wire.is_alive();
}

#[test]
fn only_the_number_of_servers_comes_if_no_more_is_wanted() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for (need_results, len) in [(0, 0), (1, 2), (5, 2)] {
        let list = ListServers {
            need_results,
            flags: 0,
        };
        wire.send(&list.frame(Serial(1)));
        let list = ServerList::decode(&wire.receive().1).unwrap();
        assert_eq!((list.servers.len(), list.count), (len, 2));
    }
}

#[test]
fn flags_without_a_meaning_are_refused_everywhere() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let flags = 9;
    let (outputs, filters) = (None, None);
    let frames = [
        ListServers {
            need_results: 1,
            flags,
        }
        .frame(Serial(1)),
        GetThreadpool {
            server: server(),
            flags,
        }
        .frame(Serial(1)),
        SetThreadpool {
            server: server(),
            params: Params::default(),
            flags,
        }
        .frame(Serial(1)),
        admin::ListClients {
            server: server(),
            need_results: 1,
            flags,
        }
        .frame(Serial(1)),
        admin::GetClientLimits {
            server: server(),
            flags,
        }
        .frame(Serial(1)),
        SetClientLimits {
            server: server(),
            params: Params::default(),
            flags,
        }
        .frame(Serial(1)),
        admin::UpdateTlsFiles {
            server: server(),
            flags,
        }
        .frame(Serial(1)),
        admin::GetLoggingOutputs { flags }.frame(Serial(1)),
        admin::GetLoggingFilters { flags }.frame(Serial(1)),
        admin::SetLoggingOutputs { outputs, flags }.frame(Serial(1)),
        admin::SetLoggingFilters { filters, flags }.frame(Serial(1)),
        admin::SetDaemonTimeout { timeout: 1, flags }.frame(Serial(1)),
    ];
    for frame in frames {
        wire.send(&frame);
        let error = wire.error();
        assert_eq!(error.number, ErrorNumber::INVALID_ARG);
        let message = error.message.unwrap();
        assert!(
            message.starts_with("unsupported flags (0x9) in function admin"),
            "{message}"
        );
    }
    assert_eq!(daemon.hooks.calls(), Vec::<String>::new());
}

#[test]
fn parameters_are_judged_as_libvirt_judges_them() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let uint = |name: &str| TypedParam::new(name, TypedValue::Uint(5));
    let cases = [
        (
            vec![uint("foo")],
            ErrorNumber::ARGUMENT_UNSUPPORTED,
            "argument unsupported: parameter 'foo' not supported",
        ),
        (
            vec![uint(param::CLIENTS_CURRENT)],
            ErrorNumber::ARGUMENT_UNSUPPORTED,
            "argument unsupported: parameter 'nclients' not supported",
        ),
        (
            vec![TypedParam::new(param::CLIENTS_MAX, TypedValue::Int(5))],
            ErrorNumber::INVALID_ARG,
            "invalid argument: invalid type 'int' for parameter 'nclients_max', expected 'uint'",
        ),
        (
            vec![uint(param::CLIENTS_MAX), uint(param::CLIENTS_MAX)],
            ErrorNumber::INVALID_ARG,
            "invalid argument: parameter 'nclients_max' occurs multiple times",
        ),
    ];
    for (params, number, message) in cases {
        let set = SetClientLimits {
            server: server(),
            params: Params(params),
            flags: 0,
        };
        wire.send(&set.frame(Serial(1)));
        let error = wire.error();
        assert_eq!((error.number, error.domain), (number, ErrorDomain::NONE));
        assert_eq!(error.message.as_deref(), Some(message));
    }
    let long = SetClientLimits {
        server: server(),
        params: Params(vec![uint(&"a".repeat(80))]),
        flags: 0,
    };
    wire.send(&long.frame(Serial(1)));
    assert_eq!(wire.error().number, ErrorNumber::INTERNAL_ERROR);
    assert_eq!(daemon.main.limits(), (5000, 20));
}

#[test]
fn no_parameters_change_nothing() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let set = SetThreadpool {
        server: server(),
        params: Params::default(),
        flags: 0,
    };
    wire.send(&set.frame(Serial(1)));
    assert_eq!(wire.receive().0.status, Status::OK);
}

#[test]
fn lengths_that_no_frame_has_end_the_connection() {
    let daemon = Daemon::start();
    for len in [0u32, 4, 27, 1024 * 1024 + 1, 0x7fff_ffff, u32::MAX] {
        let mut wire = daemon.connect();
        let mut frame = version().frame(&());
        frame[..4].copy_from_slice(&len.to_be_bytes());
        wire.send(&frame);
        wire.is_closed();
    }
    daemon.connect().is_alive();
}

#[test]
fn long_arguments_are_taken_and_longer_ones_refused() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let mut set = |len: usize| {
        let filters = Some("x".repeat(len));
        let set = admin::SetLoggingFilters { filters, flags: 0 };
        wire.send(&set.frame(Serial(1)));
        wire.receive().0.status
    };
    assert_eq!(set(60 * 1024), Status::OK);
    assert_eq!(set(1000 * 1024), Status::ERROR);
    assert_eq!(daemon.hooks.calls().len(), 1);
    wire.is_alive();
}

#[test]
fn a_call_may_bring_descriptors_that_nobody_wants() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    let header = Header {
        message_type: MessageType::CALL_WITH_FDS,
        ..call(procedure::CONNECT_LIST_SERVERS, 7)
    };
    // The number of descriptors stands before the arguments.
    let mut frame = header.frame(&admin::SetDaemonTimeout {
        timeout: 2,
        flags: 1,
    });
    frame.extend(0u32.to_be_bytes());
    let len = u32::try_from(frame.len()).unwrap();
    frame[..4].copy_from_slice(&len.to_be_bytes());
    wire.send(&frame);
    let (mut near, far) = std::io::pipe().unwrap();
    for _ in 0..2 {
        wire.send_descriptor(far.as_fd());
    }
    drop(far);
    let (reply, payload) = wire.receive();
    assert_eq!(reply.message_type, MessageType::REPLY);
    assert_eq!(ServerList::decode(&payload).unwrap().servers.len(), 2);
    wire.is_alive();
    // Nobody holds the other end of the pipe any more.
    let end = std::thread::spawn(move || near.read(&mut [0; 1]).unwrap());
    eventually(PATIENCE, "the descriptors to be closed", || {
        end.is_finished()
    })
    .unwrap();
    assert_eq!(end.join().unwrap(), 0);
}

#[test]
fn more_descriptors_than_there_may_be_end_the_connection() {
    // libvirtd 9.0.
    let daemon = Daemon::start();
    let header = Header {
        message_type: MessageType::CALL_WITH_FDS,
        ..version()
    };
    let mut wire = daemon.connect();
    wire.send(&header.frame(&admin::Open { flags: 33 }));
    wire.is_closed();
    let mut wire = daemon.connect();
    wire.send(&header.frame(&()));
    wire.is_closed();
}

#[test]
fn frames_may_come_in_pieces_or_together() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for byte in version().frame(&()) {
        wire.send(&[byte]);
    }
    assert_eq!(wire.receive().0, version().reply());
    let calls: Vec<u8> = (0..50)
        .flat_map(|serial| call(version().procedure, serial).frame(&()))
        .collect();
    wire.send(&calls);
    for serial in 0..50 {
        assert_eq!(wire.receive().0, call(version().procedure, serial).reply());
    }
}

#[test]
fn any_serial_comes_back() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for serial in [0, u32::MAX, 5, 5] {
        let header = call(version().procedure, serial);
        wire.send(&header.frame(&()));
        assert_eq!(wire.receive().0.serial, Serial(serial));
    }
}

#[test]
fn a_client_that_goes_inside_a_frame_leaves_nothing_behind() {
    let daemon = Daemon::start();
    for len in [1, 4, 27, 30] {
        let mut wire = daemon.connect();
        wire.is_alive();
        let frame = call(procedure::CONNECT_LIST_SERVERS, 1).frame(&admin::Open { flags: 1 });
        wire.send(&frame[..len]);
    }
    let gone = || daemon.admin.count() == (0, 0);
    eventually(PATIENCE, "all clients to go", gone).unwrap();
}

#[test]
fn a_client_that_stops_inside_a_frame_holds_nobody_up_and_can_be_disconnected() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.is_alive();
    wire.send(&version().frame(&())[..20]);
    daemon.connect().is_alive();
    let id = daemon.admin.list()[0].0;
    assert!(daemon.admin.dismiss(id));
    wire.is_closed();
}

#[test]
fn a_client_that_closes_half_still_gets_its_answers() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.send(&version().frame(&()));
    wire.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(wire.receive().0, version().reply());
    wire.is_closed();
}

#[test]
fn a_client_that_asks_and_never_reads_is_not_read_from_either() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.is_alive();
    wire.0.set_nonblocking(true).unwrap();
    let frame = version().frame(&());
    let (mut sent, mut idle_looks) = (0, 0);
    eventually(PATIENCE, "the server to stop reading", || {
        let before = sent;
        while let Ok(len) = wire.0.write(&frame) {
            sent += len;
            // What fits into the sockets of both sides is far less.
            assert!(sent < 64 * 1024 * 1024, "the server reads on and on");
        }
        idle_looks = if sent == before { idle_looks + 1 } else { 0 };
        idle_looks == 20
    })
    .unwrap();
    daemon.connect().is_alive();
    let id = daemon.admin.list()[0].0;
    daemon.admin.dismiss(id);
    let gone = || daemon.admin.count().0 == 0;
    eventually(PATIENCE, "it to go", gone).unwrap();
}

#[test]
fn a_ping_gets_its_pong() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.send(&keepalive::header(keepalive::PONG).frame(&()));
    wire.send(&keepalive::header(Procedure(3)).frame(&()));
    wire.send(&keepalive::header(keepalive::PING).frame(&()));
    assert_eq!(wire.receive().0, keepalive::header(keepalive::PONG));
    wire.is_alive();
}

#[test]
fn the_end_is_answered_before_it_comes() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    wire.send(&admin::Close.frame(Serial(3)));
    assert_eq!(wire.receive().0, call(procedure::CONNECT_CLOSE, 3).reply());
    wire.is_closed();
}

#[test]
fn strings_that_are_none_are_refused() {
    let daemon = Daemon::start();
    let mut wire = daemon.connect();
    for name in [&[0xff][..], b"a\0b"] {
        let mut frame = call(procedure::CONNECT_LOOKUP_SERVER, 1).frame(&admin::LookupServer {
            name: "x".repeat(name.len()),
            flags: 0,
        });
        frame[32..32 + name.len()].copy_from_slice(name);
        wire.send(&frame);
        assert_eq!(wire.error(), RemoteError::undecodable());
    }
    wire.is_alive();
}
