//! Processes that Debian's pmdaroot starts and ends, and ends of processes that a scripted server
//! tells of: Debian's forgets most of them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Result;
use pcp_proto::Status;
use pcp_proto::root::{Answer, Next, Request, StopRequest, Stopped, Version};
use pmda_root::{AnyEnded, Ended, Error, IpcType};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::process::{Pid, test_kill_process};

use crate::server::{Debian, Rogue, await_end, greet};

/// A wait came to its end with the process. Debian's pmdaroot forgets how most of its processes have
/// ended, but not that they have.
#[track_caller]
fn has_ended(waited: Result<Ended, Error>, pid: i32, signal: i32) {
    match waited {
        Ok(ended) => assert_eq!((ended.pid, ended.code), (pid, signal)),
        Err(Error::NoChild(child)) => assert_eq!(child, pid),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(
        Pid::from_raw(pid).map(test_kill_process),
        Some(Err(Errno::SRCH))
    );
}

#[test]
fn a_process_is_talked_with_over_its_pipes_and_killed() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    assert_eq!(root.ended().unwrap(), AnyEnded::NoProcesses);
    let cat = root.start(IpcType::Pipe, "cat", "/bin/cat -u").unwrap();
    let pipes = cat.pipes.unwrap();
    for descriptor in [pipes.input.as_fd(), pipes.output.as_fd(), root.as_fd()] {
        assert!(fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
    }
    File::from(pipes.input.try_clone().unwrap())
        .write_all(b"hello")
        .unwrap();
    let (mut output, mut echo) = (File::from(pipes.output), [0; 5]);
    output.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
    assert_eq!(root.ended().unwrap(), AnyEnded::NoneYet);
    let waited = root.wait_timeout(cat.pid, Duration::from_millis(30));
    assert_eq!(waited.unwrap(), None);
    root.kill(cat.pid).unwrap();
    has_ended(root.wait(cat.pid), cat.pid, 9);
    assert_eq!(output.read(&mut echo).unwrap(), 0);
}

#[test]
fn a_process_without_pipes_can_be_asked_to_end() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    let sleep = root
        .start(IpcType::Socket, "sleep", "/bin/sleep 1000")
        .unwrap();
    assert!(sleep.pipes.is_none());
    root.terminate(sleep.pid).unwrap();
    has_ended(root.wait(sleep.pid), sleep.pid, 15);
}

#[test]
fn a_process_that_is_not_pmdaroots_cannot_be_waited_for() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    let cat = root.start(IpcType::Pipe, "cat", "/bin/cat").unwrap();
    for pid in [0, -1, -5] {
        let error = root.wait(pid).unwrap_err();
        assert_eq!(error.status(), Status(-22), "{error}");
        assert_eq!(root.kill(pid).unwrap_err().status(), Status(-22));
        assert_eq!(root.terminate(pid).unwrap_err().status(), Status(-22));
    }
    let nobody = 4_000_000;
    let error = root.wait(nobody).unwrap_err();
    assert!(
        matches!(error, Error::NoChild(pid) if pid == nobody),
        "{error}"
    );
    assert!(root.kill(nobody).is_err());
    root.kill(cat.pid).unwrap();
}

#[test]
fn a_process_that_cannot_be_started_is_an_error() {
    let debian = Debian::start().unwrap();
    let mut root = debian.connect().unwrap();
    let error = root.start(IpcType::Pipe, "blank", " ").unwrap_err();
    assert_eq!(error.status(), Status::GENERIC, "{error}");
    let long = "x".repeat(64);
    let error = root.start(IpcType::Pipe, &long, "/bin/true").unwrap_err();
    assert_eq!(error.status(), Status(-7), "{error}");
}

/// A server that answers the questions for processes that have ended with these, one after the other.
fn telling(script: &'static [(i32, i32)]) -> Result<Rogue> {
    Rogue::start(move |client| {
        greet(client);
        for &(pid, code) in script {
            let mut request = [0; 32];
            if client.read_exact(&mut request).is_err() {
                return;
            }
            let asked = Request::next(&request);
            let pdu = Request::Stop(StopRequest::WaitAny);
            let (version, len) = (Version::V2, 32);
            assert_eq!(asked, Ok(Next::Whole { pdu, version, len }));
            let stopped = Answer::Stop(Ok(Stopped { pid, code }));
            let _ = client.write_all(&stopped.encode(Version::V2));
        }
        await_end(client);
    })
}

/// A process that exists as long as any test runs.
const INIT: i32 = 1;

#[test]
fn a_wait_asks_until_the_process_has_ended_and_keeps_what_it_hears_of_others() {
    const SCRIPT: &[(i32, i32)] = &[
        (0, 0),
        (0, 0),
        (50, 256),
        (51, 9),
        (0, 0),
        (INIT, 15),
        (0, 0),
    ];
    let server = telling(SCRIPT).unwrap();
    let mut root = server.connect().unwrap();
    let ended = root.wait(INIT).unwrap();
    assert_eq!((ended.pid, ended.code), (INIT, 15));
    assert_eq!(root.wait(51).unwrap(), Ended { pid: 51, code: 9 });
    let failed = root.ended().unwrap();
    let expected = Ended { pid: 50, code: 256 };
    assert_eq!(failed, AnyEnded::One(expected));
    assert_eq!(expected.status().code(), Some(1));
    assert_eq!(root.ended().unwrap(), AnyEnded::NoneYet);
}

#[test]
fn a_wait_ends_when_the_server_has_no_processes() {
    let server = telling(&[(0, 0), (-1, 0)]).unwrap();
    let mut root = server.connect().unwrap();
    let error = root.wait(INIT).unwrap_err();
    assert!(matches!(error, Error::NoChild(_)), "{error}");
    assert_eq!(error.status(), Status(-10));
}

#[test]
fn a_wait_ends_when_the_server_goes() {
    let server = Rogue::start(greet).unwrap();
    let mut root = server.connect().unwrap();
    let error = root.wait(INIT).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}
