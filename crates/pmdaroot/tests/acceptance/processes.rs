//! Processes that are started, waited for, and ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use pcp_proto::Status;
use pcp_proto::root::{
    Answer, Failure, IpcType, Label, Next, Request, StartRequest, StopRequest, Stopped, Text,
    Version,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use testbed::{PATIENCE, Process, eventually, eventually_some};

use crate::bed::{Collector, Root, State};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;

struct Started {
    pid: i32,
    to: Option<File>,
    from: Option<File>,
}

impl Started {
    fn say(&mut self, text: &str) {
        self.to
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let mut from = BufReader::with_capacity(1, self.from.as_mut().unwrap());
        from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn is_there(&self) -> bool {
        fs::exists(format!("/proc/{}", self.pid)).unwrap()
    }
}

fn start(client: &Collector, ipc: IpcType, arguments: &str) -> Result<Started, Status> {
    let order = Request::Start(StartRequest {
        ipc,
        label: Label::new(b"agent").unwrap(),
        arguments: Text::new(arguments.as_bytes()).unwrap(),
    });
    (&client.stream)
        .write_all(&order.encode(Version::V2))
        .unwrap();
    let (mut piece, mut space) = ([0; 4096], [MaybeUninit::uninit(); 128]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut piece)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(&client.stream, &mut slices, &mut control, flags).unwrap();
    let mut descriptors = Vec::<OwnedFd>::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let Next::Whole { pdu, .. } = Answer::next(&piece[..got.bytes]).unwrap() else {
        panic!("the answer came in pieces");
    };
    let Answer::Start(started) = pdu else {
        panic!("{pdu:?}")
    };
    assert_eq!(started.label.as_bytes(), b"agent");
    let pid = started.pid.map_err(Failure::status)?;
    let mut files = descriptors.into_iter().map(File::from);
    Ok(Started {
        pid,
        to: files.next(),
        from: files.next(),
    })
}

/// Waits for a process that has ended, as a client does.
fn collect(client: &mut Collector) -> Stopped {
    eventually_some(PATIENCE, "a process to end", || {
        Some(client.stop(StopRequest::WaitAny).unwrap()).filter(|stopped| stopped.pid != 0)
    })
    .unwrap()
}

#[test]
fn a_process_talks_over_its_pipes_and_its_end_is_told_once() {
    let root = Root::ours(State::new());
    let mut client = root.connect();
    let before = root.process.descriptors().unwrap();
    assert_eq!(client.stop(StopRequest::WaitAny).unwrap().pid, -1);
    let mut cat = start(&client, IpcType::Pipe, "/bin/cat -u").unwrap();
    cat.say("hello\n");
    assert_eq!(cat.line(), "hello");
    assert_eq!(client.stop(StopRequest::WaitAny).unwrap().pid, 0);
    client.stop(StopRequest::Terminate(cat.pid)).unwrap();
    let ended = collect(&mut client);
    assert_eq!(ended.pid, cat.pid);
    assert_eq!(ExitStatus::from_raw(ended.code).signal(), Some(15));
    assert_eq!(client.stop(StopRequest::WaitAny).unwrap().pid, -1);
    assert!(!cat.is_there());
    let exits = start(&client, IpcType::Pipe, "sh -c 'exit 3'").unwrap();
    let ended = collect(&mut client);
    assert_eq!((ended.pid, ended.code), (exits.pid, 3 << 8));
    let asleep = start(&client, IpcType::Pipe, "sleep 1000").unwrap();
    client.stop(StopRequest::Kill(asleep.pid)).unwrap();
    assert_eq!(collect(&mut client).code, 9);
    root.process.await_descriptors(before).unwrap();
}

#[test]
fn arguments_are_cut_without_a_shell_and_quotes_are_understood() {
    let root = Root::ours(State::new());
    let client = root.connect();
    let line = r#"printf '<%s>' a  "b c" 'd"e' $HOME * #f"#;
    let mut started = start(&client, IpcType::Pipe, line).unwrap();
    let mut said = String::new();
    started
        .from
        .as_mut()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, r#"<a><b c><d"e><$HOME><*><#f>"#);
}

#[test]
fn a_process_gets_nothing_but_what_it_should() {
    let state = State::new()
        .with("LD_LIBRARY_PATH", "/nowhere")
        .with("SECRET", "1");
    let root = Root::ours(state);
    let (client, _others) = (root.connect(), [root.connect(), root.connect()]);
    let script = "ls /proc/self/fd | tr '\\n' ' '; echo; \
        env | grep -cE '^(LD_LIBRARY_PATH|SECRET)='; env | grep -c ^PCP_DOCKER_DIR=; \
        grep -E '^Sig(Blk|Ign)|^CapEff|^NoNewPrivs' /proc/self/status; ulimit -n; echo end; cat";
    let mut started = start(&client, IpcType::Pipe, &format!("sh -c \"{script}\"")).unwrap();
    // The last one is the folder that is listed.
    assert_eq!(started.line(), "0 1 2 3");
    assert_eq!(started.line(), "0");
    assert_eq!(started.line(), "1");
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:\t"))
        .unwrap();
    assert_eq!(started.line(), "SigBlk:\t0000000000000000");
    // The lowest of those for real time belongs to the C library.
    let ignored = started.line();
    let ignored = u64::from_str_radix(ignored.strip_prefix("SigIgn:\t").unwrap(), 16);
    assert_eq!(ignored.unwrap() & 0x7fff_ffff, 0);
    assert_eq!(started.line(), format!("CapEff:\t{bounding}"));
    assert_eq!(started.line(), "NoNewPrivs:\t0");
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    assert_eq!(started.line(), limit.unwrap().0.to_string());
    assert_eq!(started.line(), "end");
}

#[test]
fn a_process_with_a_socket_of_its_own_comes_without_descriptors() {
    let root = Root::ours(State::new());
    let mut client = root.connect();
    let started = start(&client, IpcType::Socket, "sh -c 'echo to the log; cat'").unwrap();
    assert!(started.to.is_none() && started.from.is_none());
    assert_eq!(collect(&mut client).pid, started.pid);
    root.await_log("to the log");
}

#[test]
fn a_program_that_cannot_be_run_is_an_error() {
    let root = Root::ours(State::new());
    let mut client = root.connect();
    let missing = start(&client, IpcType::Pipe, "/no/such/program").err();
    assert_eq!(missing, Some(Status::from_errno(ENOENT)));
    let empty = start(&client, IpcType::Pipe, "  ").err();
    assert_eq!(empty, Some(Status::GENERIC));
    assert_eq!(client.stop(StopRequest::WaitAny).unwrap().pid, -1);
}

#[test]
fn statuses_are_kept_for_the_client_that_started_the_process() {
    let root = Root::ours(State::new());
    let (one, mut other) = (root.connect(), root.connect());
    let first = start(&one, IpcType::Pipe, "sh -c 'exit 1'").unwrap();
    let second = start(&other, IpcType::Pipe, "sh -c 'exit 2'").unwrap();
    root.await_log(&format!("agent (pid {}) has ended", first.pid));
    root.await_log(&format!("agent (pid {}) has ended", second.pid));
    assert_eq!(collect(&mut other).pid, second.pid);
    assert_eq!(other.stop(StopRequest::WaitAny).unwrap().pid, -1);
    // Whoever comes after the one that has left may have what is left.
    drop(one);
    eventually(PATIENCE, "the status of the first", || {
        other.stop(StopRequest::WaitAny).unwrap().pid == first.pid
    })
    .unwrap();
    assert!(!first.is_there() && !second.is_there());
}

#[test]
fn nobody_but_started_processes_and_agents_of_pmcd_is_ended() {
    let root = Root::ours(State::new());
    let mut client = root.connect();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "sleep 1000 & echo $!; wait"])
        .stdout(Stdio::piped());
    let mut agent = Process::spawn("agent", shell).unwrap();
    let mut line = String::new();
    let output = agent.child().stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let grandchild: i32 = line.trim().parse().unwrap();
    let pmcd = std::process::id().cast_signed();
    let request: [fn(i32) -> StopRequest; 2] = [StopRequest::Terminate, StopRequest::Kill];
    for stop in request {
        // The test is the parent of pmdaroot, as of its agents.
        let own = root.process.pid().cast_signed();
        for pid in [grandchild, pmcd, own, 1, i32::MAX] {
            assert_eq!(
                client.stop(stop(pid)),
                Err(Status::from_errno(EPERM)),
                "{pid}"
            );
        }
    }
    for pid in [0, -1, -pmcd, i32::MIN] {
        let refused = client.stop(StopRequest::Kill(pid));
        assert_eq!(refused, Err(Status::from_errno(EINVAL)), "{pid}");
    }
    assert!(agent.ended().unwrap().is_none());
    // The parent of this one is the parent of pmdaroot.
    client
        .stop(StopRequest::Terminate(agent.pid().cast_signed()))
        .unwrap();
    assert_eq!(agent.wait(PATIENCE).unwrap().signal(), Some(15));
}

#[test]
fn a_client_that_does_not_wait_for_its_process_leaves_no_zombie() {
    let root = Root::ours(State::new());
    let client = root.connect();
    let before = root.process.descriptors().unwrap();
    let order = Request::Start(StartRequest {
        ipc: IpcType::Pipe,
        label: Label::new(b"agent").unwrap(),
        arguments: Text::new(b"cat").unwrap(),
    });
    (&client.stream)
        .write_all(&order.encode(Version::V2))
        .unwrap();
    drop(client);
    // It ends because nobody holds the other end of its pipe.
    root.await_log("has ended");
    let stat = format!(
        "/proc/{}/task/{}/children",
        root.process.pid(),
        root.process.pid()
    );
    eventually(PATIENCE, "no children", || {
        fs::read_to_string(&stat).is_ok_and(|children| children.is_empty())
    })
    .unwrap();
    root.process.await_descriptors(before - 1).unwrap();
}
