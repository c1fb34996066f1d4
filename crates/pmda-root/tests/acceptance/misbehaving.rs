//! Servers that break the rules: whatever they do is an error, in time, and ends the connection.

use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, ensure};
use pcp_proto::Status;
use pcp_proto::root::{Answer, Failure, Features, Label, Started, Stopped, Version};
use pmda_root::{Error, IpcType, RootConnection};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::server::{HURRY, Rogue, await_end, await_request, greet};

fn integers(integers: &[i32]) -> Vec<u8> {
    integers.iter().flat_map(|int| int.to_ne_bytes()).collect()
}

/// Asks a server that answers with `answer`, and makes sure that the connection is of no more use.
fn refused(answer: Vec<u8>) -> Result<Error> {
    let rogue = Rogue::answering(answer, 4096)?;
    let mut root = rogue.connect()?;
    let error = root.container_host_name("alpha").err();
    let later = root.container_host_name("alpha").err();
    ensure!(matches!(later, Some(Error::Closed)), "{later:?}");
    error.context("the answer was taken")
}

#[test]
fn an_answer_may_come_in_pieces() {
    let answer = integers(&[0x9002, 30, 0, 2, 77, 6]);
    for piece in [1, 3, 16, 17] {
        let whole = [&answer[..], b"inside"].concat();
        let rogue = Rogue::answering(whole, piece).unwrap();
        let name = rogue.connect().unwrap().container_host_name("alpha");
        assert_eq!(name.unwrap(), "inside");
    }
}

#[test]
fn lengths_that_make_no_sense_are_refused() {
    for len in [-1, 0, 23, 5000, i32::MIN, i32::MAX] {
        let error = refused(integers(&[0x9002, len, 0, 2, 77, 6])).unwrap();
        assert!(matches!(error, Error::Malformed(_)), "{error}");
        assert_eq!(error.status(), Status::IPC);
    }
    for name_len in [-1, 5, 7, 1_000_000, i32::MAX] {
        let head = integers(&[0x9002, 30, 0, 2, 77, name_len]);
        let error = refused([&head[..], b"inside"].concat()).unwrap();
        assert!(matches!(error, Error::Malformed(_)), "{error}");
    }
}

#[test]
fn the_answer_to_another_question_is_refused() {
    let stopped = Answer::Stop(Ok(Stopped { pid: 1, code: 0 })).encode(Version::V2);
    let error = refused(stopped).unwrap();
    assert!(matches!(error, Error::OtherAnswer { .. }), "{error}");
    let error = refused(integers(&[0x9001, 24, 0, 2, 1, 0])).unwrap();
    assert!(matches!(error, Error::Malformed(_)), "{error}");
    let error = refused(integers(&[0x7000, 24, 0, 2, 1, 0])).unwrap();
    assert!(matches!(error, Error::Malformed(_)), "{error}");
}

#[test]
fn a_later_version_is_refused() {
    let rogue = Rogue::start(|client| {
        let _ = client.write_all(&integers(&[0x9000, 24, 0, 3, 7, 0]));
        await_end(client);
    });
    let error = RootConnection::open_at(rogue.unwrap().path()).unwrap_err();
    assert!(matches!(error, Error::Malformed(_)), "{error}");
}

#[test]
fn a_greeting_can_be_a_refusal() {
    let rogue = Rogue::start(|client| {
        let refusal = Answer::Info(Err(Failure::from_errno(13))).encode(Version::V2);
        let _ = client.write_all(&refusal);
        await_end(client);
    });
    let error = RootConnection::open_at(rogue.unwrap().path()).unwrap_err();
    assert_eq!(error.status(), Status(-13), "{error}");
}

#[test]
fn a_server_of_version_1_gets_requests_of_version_1() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let rogue = Rogue::start(move |client| {
        let _ = client.write_all(&Answer::Info(Ok(Features(3))).encode(Version::V1));
        let mut request = [0; 29];
        let _ = std::io::Read::read_exact(client, &mut request);
        let _ = sender.send(request);
        let _ = client.write_all(&integers(&[0x9004, 24, 0, 1, 77, 0]));
        await_end(client);
    })
    .unwrap();
    let mut root = rogue.connect().unwrap();
    assert_eq!(root.version(), Version::V1);
    assert_eq!(root.container_process_id("alpha").unwrap(), 77);
    let asked = receiver.recv().unwrap();
    assert_eq!(asked[..24], integers(&[0x9003, 29, 0, 1, 0, 5]));
}

#[test]
fn a_server_that_closes_half_way_is_an_error() {
    for sent in [0, 7, 16, 20, 25] {
        let rogue = Rogue::start(move |client| {
            greet(client);
            await_request(client);
            let answer = [&integers(&[0x9002, 30, 0, 2, 77, 6])[..], b"inside"].concat();
            let _ = client.write_all(&answer[..sent]);
        })
        .unwrap();
        let mut root = rogue.connect().unwrap();
        let error = root.container_host_name("alpha").unwrap_err();
        assert!(matches!(error, Error::Closed), "{error}");
        assert_eq!(error.status(), Status::EOF);
    }
}

#[test]
fn a_server_that_closes_at_once_is_an_error() {
    let rogue = Rogue::start(|_| ()).unwrap();
    let error = RootConnection::open_at(rogue.path()).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}

#[test]
fn a_server_that_does_not_greet_is_a_timeout() {
    let (rogue, _listener) = Rogue::deaf().unwrap();
    let error = rogue.connect_in_a_hurry().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(error.status(), Status(-110));
}

#[test]
fn a_server_whose_queue_is_full_is_a_timeout() {
    let (rogue, listener) = Rogue::deaf().unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let fill = std::os::unix::net::UnixStream::connect(rogue.path());
    let error = rogue.connect_in_a_hurry().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    drop(fill);
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout_and_cannot_come_later() {
    let rogue = Rogue::start(|client| {
        greet(client);
        await_end(client);
    })
    .unwrap();
    let mut root = rogue.connect().unwrap();
    root.set_timeout(HURRY);
    let error = root.container_host_name("alpha").unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    let later = root.container_host_name("alpha").unwrap_err();
    assert!(matches!(later, Error::Closed), "{later}");
}

#[test]
fn an_answer_that_stops_half_way_is_a_timeout() {
    let answer = integers(&[0x9002, 30, 0, 2, 77, 6]);
    let rogue = Rogue::answering(answer, 4096).unwrap();
    let mut root = rogue.connect().unwrap();
    root.set_timeout(HURRY);
    let error = root.container_host_name("alpha").unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
}

#[test]
fn an_answer_that_drips_is_a_timeout() {
    let rogue = Rogue::start(|client| {
        greet(client);
        await_request(client);
        let answer = integers(&[0x9002, 4000, 0, 2, 77, 3976]);
        let mut drops = answer.iter().copied().chain(std::iter::repeat(b'x'));
        while drops
            .next()
            .is_some_and(|byte| client.write_all(&[byte]).is_ok())
        {
            std::thread::sleep(HURRY / 100);
        }
    })
    .unwrap();
    let mut root = rogue.connect().unwrap();
    root.set_timeout(HURRY);
    let error = root.container_host_name("alpha").unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
}

/// A server that says that it has started a process, and sends `count` descriptors along.
fn starting(count: usize) -> Result<Rogue> {
    let label = Label::new(b"x")?;
    Rogue::start(move |client| {
        greet(client);
        await_request(client);
        let started = Answer::Start(Started { label, pid: Ok(77) }).encode(Version::V2);
        let descriptors: Vec<BorrowedFd<'_>> = vec![client.as_fd(); count];
        let mut space = [std::mem::MaybeUninit::uninit(); 256];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if count > 0 {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let bytes = [IoSlice::new(&started)];
        let _ = sendmsg(&*client, &bytes, &mut control, SendFlags::empty());
        await_end(client);
    })
}

fn open_descriptors() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

#[test]
fn descriptors_that_are_too_few_or_too_many_are_refused_and_closed() {
    let before = open_descriptors().unwrap();
    for (ipc, count) in [
        (IpcType::Pipe, 0),
        (IpcType::Pipe, 1),
        (IpcType::Pipe, 3),
        (IpcType::Pipe, 20),
        (IpcType::Socket, 1),
        (IpcType::Socket, 2),
    ] {
        let rogue = starting(count).unwrap();
        let mut root = rogue.connect().unwrap();
        let refused = root.start(ipc, "x", "/bin/true").unwrap_err();
        drop((root, rogue));
        assert_eq!(open_descriptors().unwrap(), before, "{refused}");
    }
    for (ipc, count) in [(IpcType::Pipe, 2), (IpcType::Socket, 0)] {
        let rogue = starting(count).unwrap();
        let mut root = rogue.connect().unwrap();
        let started = root.start(ipc, "x", "/bin/true").unwrap();
        assert_eq!(started.pipes.is_some(), count == 2);
    }
}
