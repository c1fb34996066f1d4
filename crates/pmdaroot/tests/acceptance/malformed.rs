//! Bytes that no honest collector sends end its own connection and nothing else.

use std::io::Write;
use std::thread;

use pcp_proto::root::{IpcType, Label, Request, StartRequest, StopRequest, Text, Version};
use testbed::{PATIENCE, eventually};

use crate::bed::{Collector, RUNNING, Root, State, identifier, named};

const HOST_NAME: i32 = 0x9001;
const PROCESS_ID: i32 = 0x9003;
const START: i32 = 0x9007;
const STOP: i32 = 0x9009;

fn words(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn start(label_len: i32, arguments_len: i32, arguments: &str) -> Vec<u8> {
    let len = i32::try_from(104 + arguments.len()).unwrap();
    let mut pdu = words(&[START, len, 0, 2, 0, 0, 0, 2, label_len, arguments_len]);
    pdu.extend([b'x'; 64]);
    pdu.extend(arguments.bytes());
    pdu
}

/// PDUs that break the protocol, each in its own way.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let name = |len, stated, name: &str| {
        let mut pdu = words(&[PROCESS_ID, len, 0, 2, 0, stated]);
        pdu.extend(name.bytes());
        pdu
    };
    vec![
        ("an unknown type", words(&[0x4242, 16, 0, 2])),
        ("an answer", words(&[0x9004, 24, 0, 2, 7, 0])),
        ("a greeting", words(&[0x9000, 24, 0, 2, 7, 0])),
        ("a length of zero", words(&[PROCESS_ID, 0, 0, 2, 0, 0])),
        ("a negative length", words(&[PROCESS_ID, -24, 0, 2, 0, 0])),
        ("the lowest length", words(&[PROCESS_ID, i32::MIN, 0, 2])),
        ("the highest length", words(&[PROCESS_ID, i32::MAX, 0, 2])),
        ("less than a header", words(&[PROCESS_ID, 15, 0, 2])),
        ("no more than a header", words(&[HOST_NAME, 16, 0, 2])),
        ("a name beyond the PDU", name(26, 400, "ab")),
        ("a negative name", name(26, -2, "ab")),
        ("more than the name", name(30, 2, "abcdef")),
        ("too long a name", name(24 + 4096, 4096, &"a".repeat(4096))),
        ("another version", words(&[PROCESS_ID, 24, 0, 3, 1, 0])),
        ("version zero", words(&[PROCESS_ID, 24, 0, 0, 1, 0])),
        ("a failure", words(&[PROCESS_ID, 24, -5, 2, 1, 0])),
        ("a stop that is short", words(&[STOP, 24, 0, 2, 1, 0])),
        (
            "a stop that is long",
            words(&[STOP, 40, 0, 2, 1, 0, 0, 0, 0, 0]),
        ),
        ("a start that is a header", words(&[START, 16, 0, 2])),
        ("a label beyond its field", start(64, 4, "true")),
        ("a label beyond everything", start(i32::MAX, 4, "true")),
        ("a negative label", start(-1, 4, "true")),
        ("arguments beyond the PDU", start(1, 4000, "true")),
        ("negative arguments", start(1, -4, "true")),
        ("another way to talk", {
            let mut pdu = start(1, 4, "true");
            pdu[28..32].copy_from_slice(&9_i32.to_ne_bytes());
            pdu
        }),
        ("zeros", vec![0; 5000]),
        (
            "a browser",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
    ]
}

fn with_container() -> Root {
    let state = State::new();
    state.docker(&identifier(1), "web", 7, RUNNING);
    Root::ours(state)
}

#[test]
fn a_client_that_breaks_the_protocol_is_cut_and_nobody_else() {
    let root = with_container();
    let mut other = root.connect();
    assert_eq!(other.process_id("web"), Ok(7));
    let before = root.process.descriptors().unwrap();
    for (what, bytes) in nonsense() {
        let mut client = root.connect();
        // The rest may meet a closed connection.
        let _ = client.stream.write_all(&bytes);
        assert_eq!(client.read_to_end(), b"", "{what}");
        assert_eq!(other.process_id("web"), Ok(7), "{what}");
    }
    root.process.await_descriptors(before).unwrap();
    assert!(
        root.log().contains("it broke the protocol"),
        "{}",
        root.log()
    );
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_pdu_leaves_nothing_behind() {
    let root = with_container();
    let mut other = root.connect();
    let before = root.process.descriptors().unwrap();
    let whole = Request::ProcessId(named("web")).encode(Version::V2);
    for cut in 0..whole.len() {
        let mut client = root.connect();
        client.stream.write_all(&whole[..cut]).unwrap();
        if cut % 2 == 0 {
            client.stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(client.read_to_end(), b"");
        }
    }
    root.process.await_descriptors(before).unwrap();
    assert_eq!(other.process_id("web"), Ok(7));
}

#[test]
fn pdus_are_whole_however_they_are_cut_or_joined() {
    let root = with_container();
    let mut client = root.connect();
    let one = Request::ProcessId(named("web")).encode(Version::V1);
    for byte in &one {
        client.stream.write_all(std::slice::from_ref(byte)).unwrap();
    }
    assert_eq!(client.receive_found(), Ok((7, String::new())));
    let mut many = one.repeat(1000);
    many.truncate(many.len() - 5);
    let mut writer = client.stream.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&many).unwrap());
    for _ in 0..999 {
        assert_eq!(client.receive_found(), Ok((7, String::new())));
    }
    sender.join().unwrap();
    // By now the server has all of the last one that was sent, and answers only once the rest is there.
    client.stream.write_all(&one[one.len() - 5..]).unwrap();
    assert_eq!(client.receive_found(), Ok((7, String::new())));
}

#[test]
fn nothing_of_an_earlier_request_is_left_in_a_later_one() {
    let root = with_container();
    let mut client = root.connect();
    assert_eq!(client.process_id("web"), Ok(7));
    // The same type without a name: it is about a process, and there is none.
    client
        .stream
        .write_all(&words(&[PROCESS_ID, 24, 0, 2, 0, 0]))
        .unwrap();
    assert!(client.receive_found().is_err());
}

#[test]
fn a_client_that_takes_no_answers_costs_no_memory_and_delays_nobody() {
    let root = with_container();
    let question = Request::ProcessId(named("web"))
        .encode(Version::V2)
        .repeat(100);
    let mut stalled: Vec<Collector> = (0..20).map(|_| root.connect()).collect();
    let before = root.process.rss_kb().unwrap();
    for client in &mut stalled {
        client.stream.set_nonblocking(true).unwrap();
        // Until the kernel takes no more.
        let full = || client.stream.write(&question).is_err();
        eventually(PATIENCE, "the socket to be full", full).unwrap();
    }
    let mut other = root.connect();
    assert_eq!(other.process_id("web"), Ok(7));
    assert!(root.process.rss_kb().unwrap() < before + 2000);
}

#[test]
fn an_open_quotation_is_an_error_and_no_end() {
    let root = with_container();
    let mut client = root.connect();
    let order = Request::Start(StartRequest {
        ipc: IpcType::Pipe,
        label: Label::new(b"x").unwrap(),
        arguments: Text::new(b"echo 'a").unwrap(),
    });
    client.send(&order);
    client.receive(|answer| match answer {
        pcp_proto::root::Answer::Start(started) => assert!(started.pid.is_err()),
        other => panic!("{other:?}"),
    });
    assert!(client.stop(StopRequest::WaitAny).is_ok());
}
