use super::*;
use crate::config::Keepalive;
use virt_proto::{Call, ErrorNumber, Open, OpenFlags, Serial, Status, Supported};

struct Bench {
    inspector: RpcInspector,
    out: Outbox,
}

impl Bench {
    fn new(most: u32, passes_descriptors: bool) -> Bench {
        let heartbeat = Heartbeat::new(Keepalive {
            interval: Some(1),
            count: 1,
        });
        Bench {
            inspector: RpcInspector::new(most, passes_descriptors, heartbeat),
            out: Outbox::default(),
        }
    }

    fn see(&mut self, side: Side, frame: &[u8]) -> Verdict<Fault> {
        let head = &frame[..frame.len().min(32)];
        self.inspector.inspect(side, head, &mut self.out)
    }

    /// What goes to the client, as headers and the rest.
    fn answer(&self) -> (Header, Vec<u8>) {
        let frame = self.out.waiting(Side::Client);
        let head = FrameHead::decode(frame).unwrap();
        assert_eq!(head.len as usize, frame.len());
        (head.header, frame[FrameHead::SIZE..].to_vec())
    }

    fn error(&self) -> RemoteError {
        let (header, payload) = self.answer();
        assert_eq!(header.status, Status::ERROR);
        RemoteError::decode(&payload).unwrap()
    }
}

fn call(procedure: i32, serial: u32) -> Vec<u8> {
    Header::call(Program::REMOTE, Procedure(procedure), Serial(serial)).frame(&())
}

fn reply(procedure: i32, serial: u32) -> Vec<u8> {
    Header::call(Program::REMOTE, Procedure(procedure), Serial(serial))
        .reply()
        .frame(&())
}

fn with_fds(message_type: MessageType, count: u32) -> Vec<u8> {
    let mut header = Header::call(Program::REMOTE, Procedure(361), Serial(9));
    header.message_type = message_type;
    header.frame_around(&count.to_be_bytes())
}

const PASS: Verdict<Fault> = Verdict::Pass(28);

fn swallow(frame: &[u8]) -> Verdict<Fault> {
    Verdict::Swallow {
        len: frame.len() as u64,
        descriptors: 0,
    }
}

#[test]
fn calls_and_answers_of_every_procedure_program_and_type_pass() {
    let mut bench = Bench::new(5, true);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), PASS);
    assert_eq!(bench.see(Side::Client, &call(99_999, u32::MAX)), PASS);
    let unknown = Header {
        program: Program(7),
        version: 9,
        message_type: MessageType(77),
        ..Header::call(Program(7), Procedure(-1), Serial(0))
    };
    for side in [Side::Client, Side::Server] {
        assert_eq!(bench.see(side, &unknown.frame(&())), PASS);
    }
    let stream = Header {
        message_type: MessageType::STREAM,
        status: Status::CONTINUE,
        ..Header::call(Program::REMOTE, Procedure(209), Serial(3))
    };
    let data = stream.frame_around(&[7; 1000]);
    assert_eq!(bench.see(Side::Server, &data), Verdict::Pass(1028));
    assert_eq!(bench.see(Side::Client, &data), Verdict::Pass(1028));
    assert!(bench.out.waiting(Side::Client).is_empty());
}

#[test]
fn a_client_with_too_many_calls_waits_for_an_answer() {
    let mut bench = Bench::new(2, true);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), PASS);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), PASS);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), Verdict::Pause);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), Verdict::Pause);
    let ping = keepalive::header(keepalive::PING).frame(&());
    assert_eq!(bench.see(Side::Client, &ping), swallow(&ping));
    assert_eq!(bench.see(Side::Server, &reply(11, 1)), PASS);
    assert_eq!(bench.see(Side::Client, &call(11, 1)), PASS);
    assert_eq!(bench.inspector.outstanding(), 2);
}

#[test]
fn nobody_claims_an_identity_or_opens_twice() {
    let mut bench = Bench::new(5, true);
    for (procedure, number) in [
        (Procedure::CONNECT_SET_IDENTITY, ErrorNumber::ACCESS_DENIED),
        (Procedure::CONNECT_OPEN, ErrorNumber::INTERNAL_ERROR),
        (Procedure::AUTH_POLKIT, ErrorNumber::AUTH_FAILED),
        (Procedure::AUTH_SASL_INIT, ErrorNumber::AUTH_FAILED),
    ] {
        bench.out = Outbox::default();
        let frame = call(procedure.0, 77);
        assert_eq!(bench.see(Side::Client, &frame), swallow(&frame));
        assert_eq!(bench.error().number, number);
        assert_eq!(bench.answer().0.serial, Serial(77));
        // A disguise does not help.
        bench.out = Outbox::default();
        let mut disguised = with_fds(MessageType::CALL_WITH_FDS, 2);
        disguised[12..16].copy_from_slice(&procedure.0.to_be_bytes());
        assert_eq!(
            bench.see(Side::Client, &disguised),
            Verdict::Swallow {
                len: 32,
                descriptors: 2
            }
        );
        assert_eq!(bench.error().number, number);
    }
    assert_eq!(bench.inspector.outstanding(), 0);
    bench.out = Outbox::default();
    let open = Open {
        name: Some("test:///default".into()),
        flags: OpenFlags(0),
    };
    assert_eq!(
        bench.see(Side::Client, &open.frame(Serial(1))),
        swallow(&open.frame(Serial(1)))
    );
}

#[test]
fn only_a_client_that_asks_for_keepalive_is_pinged() {
    let mut bench = Bench::new(5, true);
    assert_eq!(bench.inspector.pulse_interval(), None);
    let asked = SupportsFeature(Feature::REMOTE_EVENT_CALLBACK).frame(Serial(1));
    assert_eq!(bench.see(Side::Client, &asked[..28]), Verdict::Want(32));
    assert_eq!(bench.see(Side::Client, &asked), Verdict::Pass(32));
    assert_eq!(bench.inspector.pulse_interval(), None);
    let asked = SupportsFeature(Feature::PROGRAM_KEEPALIVE).frame(Serial(2));
    assert_eq!(bench.see(Side::Client, &asked), swallow(&asked));
    assert_eq!(bench.answer().1, Supported(true).encode());
    assert_eq!(
        bench.inspector.pulse_interval(),
        Some(Duration::from_secs(1))
    );
    bench.out = Outbox::default();
    bench.inspector.pulse(false, &mut bench.out).unwrap();
    assert_eq!(bench.answer().0, keepalive::header(keepalive::PING));
    assert_eq!(
        bench.inspector.pulse(false, &mut bench.out),
        Err(Fault::Dead(1))
    );
}

#[test]
fn pings_are_answered_to_whoever_sent_them_and_go_no_further() {
    let mut bench = Bench::new(5, true);
    let ping = keepalive::header(keepalive::PING).frame(&());
    let pong = keepalive::header(keepalive::PONG).frame(&());
    for side in [Side::Client, Side::Server] {
        bench.out = Outbox::default();
        assert_eq!(bench.see(side, &ping), swallow(&ping));
        assert_eq!(bench.out.waiting(side), pong);
        assert_eq!(bench.see(side, &pong), swallow(&pong));
        assert_eq!(bench.out.waiting(side), pong);
        assert!(bench.out.waiting(side.other()).is_empty());
    }
}

#[test]
fn descriptors_pass_with_their_frame_on_unix_sockets() {
    let mut bench = Bench::new(5, true);
    let call = with_fds(MessageType::CALL_WITH_FDS, 3);
    assert_eq!(bench.see(Side::Client, &call[..28]), Verdict::Want(32));
    let passed = |descriptors| Verdict::PassWith {
        len: 32,
        descriptors,
    };
    assert_eq!(bench.see(Side::Client, &call), passed(3));
    assert_eq!(bench.inspector.outstanding(), 1);
    let reply = with_fds(MessageType::REPLY_WITH_FDS, 1);
    assert_eq!(bench.see(Side::Server, &reply), passed(1));
    assert_eq!(bench.inspector.outstanding(), 0);
    let none = with_fds(MessageType::REPLY_WITH_FDS, 0);
    assert_eq!(bench.see(Side::Server, &none), Verdict::Pass(32));
}

#[test]
fn only_what_a_daemon_takes_descriptors_from_has_some() {
    let mut bench = Bench::new(5, true);
    let answer = with_fds(MessageType::REPLY_WITH_FDS, 28);
    assert_eq!(bench.see(Side::Client, &answer), Verdict::Pass(32));
    let call = with_fds(MessageType::CALL_WITH_FDS, 28);
    assert_eq!(bench.see(Side::Server, &call), Verdict::Pass(32));
    let mut bench = Bench::new(5, false);
    assert_eq!(bench.see(Side::Client, &answer), Verdict::Pass(32));
}

#[test]
fn descriptors_over_tcp_are_an_error_and_not_the_end() {
    let mut bench = Bench::new(5, false);
    let call = with_fds(MessageType::CALL_WITH_FDS, 1);
    assert_eq!(bench.see(Side::Client, &call), swallow(&call));
    assert_eq!(bench.error().number, ErrorNumber::RPC);
    bench.out = Outbox::default();
    let reply = with_fds(MessageType::REPLY_WITH_FDS, 2);
    assert_eq!(bench.see(Side::Server, &reply[..28]), Verdict::Want(32));
    assert_eq!(
        bench.see(Side::Server, &reply),
        Verdict::Swallow {
            len: 32,
            descriptors: 2
        }
    );
    assert_eq!(bench.answer().0.message_type, MessageType::REPLY);
    assert_eq!(bench.answer().0.serial, Serial(9));
    bench.out = Outbox::default();
    let asked = SupportsFeature(Feature::FD_PASSING).frame(Serial(1));
    assert_eq!(bench.see(Side::Client, &asked), swallow(&asked));
    assert_eq!(bench.answer().1, Supported(false).encode());
}

#[test]
fn frames_that_nobody_means_are_the_end() {
    let mut bench = Bench::new(5, true);
    let with_len = |len: u32| [&len.to_be_bytes()[..], &call(1, 1)[4..]].concat();
    for len in [0, 27, 32 * 1024 * 1024 + 5, u32::MAX] {
        let verdict = bench.see(Side::Client, &with_len(len));
        assert!(
            matches!(verdict, Verdict::End(Fault::Length(_))),
            "{verdict:?}"
        );
    }
    let too_many = with_fds(MessageType::CALL_WITH_FDS, 33);
    let verdict = bench.see(Side::Client, &too_many);
    assert!(
        matches!(verdict, Verdict::End(Fault::Head(_))),
        "{verdict:?}"
    );
    let mut without_count = with_fds(MessageType::REPLY_WITH_FDS, 1);
    without_count[3] = 28;
    let verdict = bench.see(Side::Server, &without_count);
    assert!(
        matches!(verdict, Verdict::End(Fault::Head(_))),
        "{verdict:?}"
    );
}
