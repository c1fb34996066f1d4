//! Bytes that PCP 6.0's library and its pmdaroot have exchanged, what no peer may send, and
//! properties that hold for all bytes.

use proptest::prelude::*;

use super::*;
use crate::Status;

/// A PDU as it was recorded: its integers, whose order of bytes is that of the host, and the rest.
fn bytes(integers: &[i32], rest: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = integers.iter().flat_map(|int| int.to_ne_bytes()).collect();
    bytes.extend(rest);
    bytes
}

fn name(bytes: &[u8]) -> ContainerName<'_> {
    ContainerName::new(bytes).unwrap()
}

fn text(bytes: &[u8]) -> TextOrNone<'_> {
    TextOrNone::new(bytes).unwrap()
}

/// A label in its field.
fn label_field(label: &[u8]) -> [u8; 64] {
    let mut field = [0; 64];
    field[..label.len()].copy_from_slice(label);
    field
}

#[track_caller]
fn request(bytes: &[u8]) -> Request<'_> {
    match Request::next(bytes) {
        Ok(Next::Whole { pdu, len, .. }) if len == bytes.len() => pdu,
        other => panic!("no whole request: {other:?}"),
    }
}

#[track_caller]
fn answer(bytes: &[u8]) -> Answer<'_> {
    match Answer::next(bytes) {
        Ok(Next::Whole { pdu, len, .. }) if len == bytes.len() => pdu,
        other => panic!("no whole answer: {other:?}"),
    }
}

/// What was recorded is read as `expected`, and would be sent with the same bytes.
#[track_caller]
fn is_request(recorded: &[u8], expected: Request<'_>) {
    assert_eq!(request(recorded), expected);
    assert_eq!(expected.encode(Version::V2), recorded);
}

#[track_caller]
fn is_answer(recorded: &[u8], expected: Answer<'_>) {
    assert_eq!(answer(recorded), expected);
    assert_eq!(expected.encode(Version::V2), recorded);
}

#[test]
fn the_greeting_of_a_real_server_is_understood() {
    let greeting = bytes(&[0x9000, 24, 0, 2, 7, 0], &[]);
    is_answer(&greeting, Answer::Info(Ok(Features::ALL)));
    assert!(Features::ALL.contains(Features::CGROUP_NAME));
    assert!(!Features(3).contains(Features::CGROUP_NAME));
}

#[test]
fn look_ups_of_the_real_library_are_understood() {
    let asked = Target::Name(name(b"alpha"));
    let host_name = bytes(&[0x9001, 29, 0, 2, 0, 5], b"alpha");
    is_request(&host_name, Request::HostName(asked));
    let process_id = bytes(&[0x9003, 29, 0, 2, 0, 5], b"alpha");
    is_request(&process_id, Request::ProcessId(asked));
    let cgroup_name = bytes(&[0x9005, 29, 0, 2, 0, 5], b"alpha");
    is_request(&cgroup_name, Request::CgroupName(asked));
    let by_pid = bytes(&[0x9001, 24, 0, 2, 0, 0], b"");
    is_request(&by_pid, Request::HostName(Target::Pid(0)));
}

#[test]
fn answers_of_a_real_server_to_look_ups_are_understood() {
    let pid = 14633;
    let container = |text| Ok(Container { pid, text });
    let host_name = bytes(&[0x9002, 33, 0, 2, pid, 9], b"insidebox");
    is_answer(&host_name, Answer::HostName(container(text(b"insidebox"))));
    let process_id = bytes(&[0x9004, 24, 0, 2, pid, 0], b"");
    is_answer(&process_id, Answer::ProcessId(container(text(b""))));
    let group = b"docker/a1a1000000000000000000000000000000000000000000000000000000000001";
    let cgroup_name = bytes(&[0x9006, 95, 0, 2, pid, 71], group);
    is_answer(&cgroup_name, Answer::CgroupName(container(text(group))));
    let unknown = bytes(&[0x9002, 24, -12399, 2, 0, 0], b"");
    is_answer(&unknown, Answer::HostName(Err(Failure::NO_CONTAINER)));
}

#[test]
fn what_a_real_server_sends_beside_a_failure_does_not_count() {
    let unset = bytes(&[0x9002, 88, -2, 2, 0, 64], &label_field(b"insidebox"));
    let no_entry = Failure::from_errno(2);
    assert_eq!(answer(&unset), Answer::HostName(Err(no_entry)));
    let beyond = bytes(&[0x9002, 24, -2, 2, 0, i32::MAX], b"");
    assert_eq!(answer(&beyond), Answer::HostName(Err(no_entry)));
}

#[test]
fn starting_a_process_with_the_real_library_is_understood() {
    let asked = bytes(
        &[0x9007, 115, 0, 2, 0, 0, 0, 2, 5, 11],
        &[&label_field(b"catty")[..], b"/bin/cat -u"].concat(),
    );
    let start = StartRequest {
        ipc: IpcType::Pipe,
        label: Label::new(b"catty").unwrap(),
        arguments: Arguments::new(b"/bin/cat -u").unwrap(),
    };
    is_request(&asked, Request::Start(start));
    let started = bytes(
        &[0x9008, 104, 0, 2, 14778, 0, 0, 0, 5, 0],
        &label_field(b"catty"),
    );
    let (label, pid) = (start.label, Ok(14778));
    is_answer(&started, Answer::Start(Started { label, pid }));
    let failed = bytes(
        &[0x9008, 104, -12345, 2, -1, 0, 0, 0, 5, 0],
        &label_field(b"catty"),
    );
    let pid = Err(Failure::GENERIC);
    is_answer(&failed, Answer::Start(Started { label, pid }));
}

#[test]
fn ending_processes_with_the_real_library_is_understood() {
    let stop = |pid, force| bytes(&[0x9009, 32, 0, 2, pid, 0, force, 0], &[]);
    is_request(&stop(-1, 0), Request::Stop(StopRequest::WaitAny));
    is_request(
        &stop(14778, 0),
        Request::Stop(StopRequest::Terminate(14778)),
    );
    is_request(&stop(14778, 1), Request::Stop(StopRequest::Kill(14778)));
    is_request(&stop(-1, 1), Request::Stop(StopRequest::Kill(-1)));
    assert_eq!(
        request(&stop(0, 0)),
        Request::Stop(StopRequest::WaitAny),
        "any number below 1"
    );
    let stopped = |status, pid, code| bytes(&[0x900a, 32, status, 2, pid, code, 0, 0], &[]);
    let says = |pid, code| Answer::Stop(Ok(Stopped { pid, code }));
    is_answer(&stopped(0, 14778, 9), says(14778, 9));
    is_answer(&stopped(0, 0, 0), says(0, 0));
    is_answer(&stopped(0, -1, 0), says(-1, 0));
    let not_permitted = Answer::Stop(Err(Failure::from_errno(1)));
    assert_eq!(answer(&stopped(-1, 4_000_000, 0)), not_permitted);
}

#[test]
fn peers_of_version_1_are_understood_and_later_ones_are_not() {
    let old = bytes(&[0x9003, 29, 0, 1, 0, 5], b"alpha");
    let pdu = Request::ProcessId(Target::Name(name(b"alpha")));
    let (version, len) = (Version::V1, 29);
    assert_eq!(Request::next(&old), Ok(Next::Whole { pdu, version, len }));
    assert_eq!(pdu.encode(Version::V1), old);
    for version in [3, 0, -1] {
        let other = bytes(&[0x9003, 29, 0, version], b"");
        assert_eq!(Request::next(&other), Err(RootError::Version(version)));
    }
}

#[test]
fn lengths_that_cannot_be_are_refused_before_anything_else_comes() {
    for (number, pdu_type) in [
        (0x9001, PduType::HostNameRequest),
        (0x9007, PduType::StartRequest),
        (0x9009, PduType::StopRequest),
    ] {
        for len in [-1, i32::MIN, 0, 15, 16, 23, 31, 33, 104, 9000, i32::MAX] {
            let lengths = match number {
                0x9001 => 24..=4119,
                0x9007 => 105..=4199,
                _ => 32..=32,
            };
            let refused = Request::next(&bytes(&[number, len], b"")).err();
            let (min, max) = (*lengths.start(), *lengths.end());
            let fits = usize::try_from(len).is_ok_and(|len| lengths.contains(&len));
            let expected = (!fits).then_some(RootError::Length {
                pdu_type,
                len,
                min,
                max,
            });
            assert_eq!(refused, expected, "{pdu_type} with {len} bytes");
        }
    }
}

#[test]
fn a_type_that_the_peer_cannot_send_is_refused() {
    let info = bytes(&[0x9000], b"");
    assert_eq!(
        Request::next(&info),
        Err(RootError::NotARequest(PduType::Info))
    );
    let stop = bytes(&[0x9009], b"");
    assert_eq!(
        Answer::next(&stop),
        Err(RootError::NotAnAnswer(PduType::StopRequest))
    );
    let unknown = bytes(&[0x900b], b"");
    assert_eq!(Answer::next(&unknown), Err(RootError::UnknownType(0x900b)));
    assert_eq!(Request::next(&unknown), Err(RootError::UnknownType(0x900b)));
}

#[test]
fn a_status_that_makes_no_sense_is_refused() {
    let bad_value = |pdu_type, value| {
        let field = "status";
        RootError::BadValue {
            pdu_type,
            field,
            value,
        }
    };
    let failing_request = bytes(&[0x9003, 29, -2], b"");
    assert_eq!(
        Request::next(&failing_request),
        Err(bad_value(PduType::ProcessIdRequest, -2))
    );
    let odd_answer = bytes(&[0x9004, 24, 5], b"");
    assert_eq!(
        Answer::next(&odd_answer),
        Err(bad_value(PduType::ProcessId, 5))
    );
}

#[test]
fn a_name_must_fill_what_is_left_of_its_pdu() {
    let pdu_type = PduType::HostNameRequest;
    let with_len = |len| Request::next(&bytes(&[0x9001, 29, 0, 2, 0, len], b"alpha")).err();
    let overrun = |stated| RootError::Overrun {
        pdu_type,
        field: "name",
        stated,
        available: 5,
    };
    let bad_value = |value| RootError::BadValue {
        pdu_type,
        field: "name",
        value,
    };
    assert_eq!(with_len(5), None);
    assert_eq!(with_len(6), Some(overrun(6)));
    assert_eq!(with_len(i32::MAX), Some(overrun(0x7fff_ffff)));
    assert_eq!(with_len(-1), Some(bad_value(-1)));
    for (len, count) in [(4, 1), (0, 5)] {
        assert_eq!(with_len(len), Some(RootError::Trailing { pdu_type, count }));
    }
}

#[test]
fn a_terminator_ends_a_name() {
    let padded = bytes(&[0x9001, 32, 0, 2, 0, 8], b"alpha\0xy");
    let asked = Target::Name(name(b"alpha"));
    assert_eq!(request(&padded), Request::HostName(asked));
    let empty = bytes(&[0x9001, 26, 0, 2, 0, 2], b"\0x");
    assert!(matches!(
        Request::next(&empty),
        Err(RootError::BadValue { .. })
    ));
}

/// A START request whose lengths are chosen.
fn start(label_len: i32, len: i32, ipc: i32) -> Option<RootError> {
    let rest = [&[b'l'; 64][..], b"/bin/cat -u"].concat();
    let pdu = bytes(&[0x9007, 115, 0, 2, 0, 0, 0, ipc, label_len, len], &rest);
    Request::next(&pdu).err()
}

#[test]
fn lengths_beyond_the_fields_of_a_start_request_are_refused() {
    let pdu_type = PduType::StartRequest;
    let bad_value = |field, value| RootError::BadValue {
        pdu_type,
        field,
        value,
    };
    assert_eq!(start(5, 11, 2), None);
    assert_eq!(start(63, 11, 1), None);
    for stated in [64, 65, 0x7fff_ffff] {
        let len = i32::try_from(stated).unwrap();
        let unterminated = RootError::Unterminated { pdu_type, stated };
        assert_eq!(start(len, 11, 2), Some(unterminated));
    }
    assert_eq!(start(0, 11, 2), Some(bad_value("namelen", 0)));
    assert_eq!(start(-5, 11, 2), Some(bad_value("namelen", -5)));
    assert_eq!(start(5, -11, 2), Some(bad_value("args", -11)));
    assert!(matches!(
        start(5, 12, 2),
        Some(RootError::Overrun { field: "args", .. })
    ));
    assert!(matches!(start(5, 10, 2), Some(RootError::Trailing { .. })));
    for ipc in [0, 3, -1] {
        assert_eq!(start(5, 11, ipc), Some(bad_value("ipctype", ipc)));
    }
}

#[test]
fn a_started_process_has_a_number() {
    let pdu = bytes(&[0x9008, 104, 0, 2, 0, 0, 0, 0, 1, 0], &label_field(b"x"));
    assert_eq!(
        Answer::next(&pdu),
        Err(RootError::BadValue {
            pdu_type: PduType::Start,
            field: "pid",
            value: 0
        })
    );
}

#[test]
fn no_pdu_is_longer_than_the_limit() {
    let longest = vec![b'x'; MAX_TEXT];
    let start = Request::Start(StartRequest {
        ipc: IpcType::Socket,
        label: Label::new(&longest[..MAX_LABEL]).unwrap(),
        arguments: Arguments::new(&longest).unwrap(),
    });
    let pdu = start.encode(Version::V2);
    assert_eq!(pdu.len(), MAX_LEN);
    assert_eq!(request(&pdu), start);
}

#[test]
fn texts_are_judged_before_they_are_sent() {
    let length = |len, min, max| TextError::Length { len, min, max };
    assert_eq!(Label::new(b""), Err(length(0, 1, 63)));
    assert_eq!(Label::new(&[b'x'; 64]), Err(length(64, 1, 63)));
    assert_eq!(ContainerName::new(b"a\0b"), Err(TextError::Zero(1)));
    assert_eq!(TextOrNone::new(b""), Ok(TextOrNone::default()));
    assert_eq!(name(b"a b\x1b\xff").to_string(), r"a b\x1b\xff");
}

#[test]
fn a_failure_is_below_zero() {
    assert_eq!(Failure::new(Status::OK), None);
    assert_eq!(Failure::new(Status(7)), None);
    assert_eq!(Failure::from_errno(2).status(), Status(-2));
    for nonsense in [0, -2] {
        assert_eq!(Failure::from_errno(nonsense), Failure::GENERIC);
    }
}

fn texts<const MIN: usize, const MAX: usize>() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(1u8.., MIN..=MAX.min(40));
    let any = prop::collection::vec(1u8.., MIN..=MAX);
    prop_oneof![short, any]
}

/// A request as its parts, since it borrows its texts.
fn with_request(
    kind: u8,
    pid: i32,
    label: &[u8],
    text: &[u8],
    check: impl FnOnce(Request<'_>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let target = match pid {
        1.. => Target::Pid(pid),
        _ => Target::Name(name(text)),
    };
    let ipc = [IpcType::Socket, IpcType::Pipe][usize::from(pid > 0)];
    check(match kind % 7 {
        0 => Request::HostName(target),
        1 => Request::ProcessId(target),
        2 => Request::CgroupName(target),
        3 => Request::Start(StartRequest {
            ipc,
            label: Label::new(label).unwrap(),
            arguments: Arguments::new(text).unwrap(),
        }),
        4 => Request::Stop(StopRequest::Terminate(pid.saturating_abs().max(1))),
        5 => Request::Stop(StopRequest::Kill(pid)),
        _ => Request::Stop(StopRequest::WaitAny),
    })
}

fn with_answer(
    kind: u8,
    outcome: Result<(i32, i32), Failure>,
    label: &[u8],
    bytes: &[u8],
    check: impl FnOnce(Answer<'_>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let container = outcome.map(|(pid, _)| Container {
        pid,
        text: text(bytes),
    });
    check(match kind % 6 {
        0 => Answer::Info(outcome.map(|(features, _)| Features(features))),
        1 => Answer::HostName(container),
        2 => Answer::ProcessId(container),
        3 => Answer::CgroupName(container),
        4 => Answer::Start(Started {
            label: Label::new(label).unwrap(),
            pid: outcome.map(|(pid, _)| pid.saturating_abs().max(1)),
        }),
        _ => Answer::Stop(outcome.map(|(pid, code)| Stopped { pid, code })),
    })
}

fn outcomes() -> impl Strategy<Value = Result<(i32, i32), Failure>> {
    prop_oneof![
        any::<(i32, i32)>().prop_map(Ok),
        (i32::MIN..0).prop_map(|code| Err(Failure::new(Status(code)).unwrap())),
    ]
}

/// Where the PDU ends (`Ok`), or how many bytes are missing.
fn end<T>(next: Result<Next<T>, RootError>) -> Result<Result<usize, usize>, TestCaseError> {
    match next {
        Ok(Next::Missing(missing)) => Ok(Err(missing)),
        Ok(Next::Whole { len, .. }) => Ok(Ok(len)),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

/// Whatever part of a PDU has come: the number of missing bytes is never too high and never zero,
/// and reading just so many leads to the end of the PDU, not beyond.
fn grows_to_its_end(
    pdu: &[u8],
    next: impl Fn(&[u8]) -> Result<Result<usize, usize>, TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut have = 0;
    loop {
        match next(&pdu[..have])? {
            Err(missing) => {
                prop_assert!(missing > 0 && have + missing <= pdu.len());
                have += missing;
            }
            Ok(len) => {
                prop_assert_eq!((have, len), (pdu.len(), pdu.len()));
                return Ok(());
            }
        }
    }
}

proptest! {
    #[test]
    fn requests_survive_the_wire(
        kind: u8, pid: i32, label in texts::<1, MAX_LABEL>(), text in texts::<1, MAX_TEXT>(),
    ) {
        with_request(kind, pid, &label, &text, |sent| {
            let pdu = sent.encode(Version::V2);
            prop_assert_eq!(request(&pdu), sent);
            grows_to_its_end(&pdu, |bytes| end(Request::next(bytes)))
        })?;
    }

    #[test]
    fn answers_survive_the_wire(
        kind: u8, outcome in outcomes(),
        label in texts::<1, MAX_LABEL>(), text in texts::<0, MAX_TEXT>(),
    ) {
        with_answer(kind, outcome, &label, &text, |sent| {
            let pdu = sent.encode(Version::V1);
            prop_assert_eq!(answer(&pdu), sent);
            grows_to_its_end(&pdu, |bytes| end(Answer::next(bytes)))
        })?;
    }

    #[test]
    fn what_follows_a_pdu_changes_nothing(
        kind: u8, pid: i32, text in texts::<1, 40>(), cut in 0usize..200,
        following in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        with_request(kind, pid, b"label", &text, |sent| {
            let pdu = sent.encode(Version::V2);
            let stream = [&pdu[..], &following].concat();
            prop_assert_eq!(Request::next(&stream), Request::next(&pdu));
            let part = &pdu[..cut.min(pdu.len() - 1)];
            prop_assert!(matches!(Request::next(part), Ok(Next::Missing(_))));
            Ok(())
        })?;
    }

    #[test]
    fn no_bytes_make_it_panic(
        kind in 0x9000i32..0x900c, len in 0i32..130, status in -3i32..2, version in 0i32..4,
        body in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..130),
    ) {
        let pdu = bytes(&[kind, len, status, version], &body);
        let _ = (Request::next(&pdu), Answer::next(&pdu));
        let _ = (Request::next(&body), Answer::next(&body));
    }
}
