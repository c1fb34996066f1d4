//! Who is served, how many at a time, and what the program leaves behind.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::User;
use testbed::{PATIENCE, eventually};

use crate::bed::{Collector, RUNNING, Root, State, identifier};

fn with_container() -> Root {
    let state = State::new();
    state.docker(&identifier(1), "web", 7, RUNNING);
    Root::ours(state)
}

/// How many bytes a process of this user gets from the socket, or what stops it.
fn ask_as(uid: u32, root: &Root) -> String {
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX)\n\
        try:\n s.connect(sys.argv[1]); print(len(s.recv(100)))\n\
        except OSError as e: print(e.strerror)";
    let mut command = Command::new("python3");
    command
        .args(["-c", script])
        .arg(root.socket())
        .uid(uid)
        .gid(uid);
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn root_and_pcp_are_served_and_nobody_else() {
    let root = with_container();
    let pcp = User::from_name("pcp").unwrap().unwrap().uid.as_raw();
    root.state.scratch.share().unwrap();
    let socket = fs::metadata(root.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!((socket.uid(), socket.mode() & 0o777), (pcp, 0o600));
    assert_eq!(ask_as(pcp, &root), "24");
    assert_eq!(ask_as(65534, &root), "Permission denied");
    // Even where the socket is open to all.
    fs::set_permissions(root.socket(), Permissions::from_mode(0o777)).unwrap();
    assert!(["0", "Connection reset by peer"].contains(&&*ask_as(65534, &root)));
    root.await_log("of user 65534 is refused");
    assert_eq!(root.connect().process_id("web"), Ok(7));
}

#[test]
fn two_thousand_clients_are_served_at_once_and_leave_nothing() {
    let root = with_container();
    // It has opened all that it needs when it answers, and has seen that an earlier one has left.
    let mut first = root.connect();
    (0..2).for_each(|_| assert_eq!(first.process_id("web"), Ok(7)));
    let before = root.process.descriptors().unwrap();
    let limit = raised_limit();
    let count = 2000.min(limit - 100);
    let mut clients: Vec<Collector> = (0..count).map(|_| root.connect()).collect();
    for client in &mut clients {
        client.send(&pcp_proto::root::Request::ProcessId(crate::bed::named(
            "web",
        )));
    }
    for client in &mut clients {
        assert_eq!(client.receive_found(), Ok((7, String::new())));
    }
    drop(clients);
    root.process.await_descriptors(before).unwrap();
}

/// How many descriptors this test may have, after it has asked for more.
fn raised_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    usize::try_from(most).unwrap()
}

#[test]
fn when_descriptors_run_out_clients_wait_and_are_served_later() {
    let state = State::new();
    state.docker(&identifier(1), "web", 7, RUNNING);
    let root = Root::ours(state);
    // It has opened all that it needs when it answers, and has seen that an earlier one has left.
    let mut first = root.connect();
    (0..2).for_each(|_| assert_eq!(first.process_id("web"), Ok(7)));
    // It knows nothing of the lower limit, and meets it when it accepts.
    let open = root.process.descriptors().unwrap();
    let limit = format!("--nofile={}:", open + 3);
    let pid = root.process.pid().to_string();
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    assert!(set.unwrap().success());
    let clients: Vec<Collector> = (0..10).map(|_| Collector::connect(root.socket())).collect();
    root.await_log("no new clients for the moment");
    // All have their turn, as long as others leave.
    for mut client in clients {
        let mut greeting = [0; 24];
        client.stream.read_exact(&mut greeting).unwrap();
        assert_eq!(client.process_id("web"), Ok(7));
    }
}

#[test]
fn it_ends_with_pmcd_and_by_sigterm_and_its_socket_goes() {
    let mut root = with_container();
    drop(root.process.child().stdin.take());
    assert!(root.process.wait(PATIENCE).unwrap().success());
    assert!(!root.socket().exists());
    let mut root = with_container();
    assert!(root.process.terminate().unwrap().success());
    assert!(!root.socket().exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_nothing_else_is() {
    let mut root = with_container();
    root.process.kill();
    assert!(root.socket().exists());
    let state = std::mem::replace(&mut root.state, State::new());
    let mut root = Root::ours(state);
    root.process.terminate().unwrap();
    let state = std::mem::replace(&mut root.state, State::new());
    fs::write(root.socket(), "precious").unwrap();
    let mut command = Command::new(crate::bed::OURS);
    command.arg("-l").arg(state.scratch.join("root.log"));
    let ended = command.arg("-s").arg(root.socket()).status().unwrap();
    assert!(!ended.success());
    assert_eq!(fs::read_to_string(root.socket()).unwrap(), "precious");
}

#[test]
fn it_keeps_no_capability_but_those_that_are_documented() {
    let root = with_container();
    let status = || fs::read_to_string(format!("/proc/{}/status", root.process.pid())).unwrap();
    let value = |name: &str| {
        let status = status();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // DAC_OVERRIDE, KILL, SYS_PTRACE and SYS_ADMIN.
    let kept = format!("{:016x}", 1 << 1 | 1 << 5 | 1 << 19 | 1 << 21);
    eventually(PATIENCE, "it to be ready", || value("NoNewPrivs:") == "1").unwrap();
    assert_eq!(value("CapEff:"), kept);
    assert_eq!(value("CapPrm:"), kept);
    assert_eq!(value("CapInh:"), format!("{:016x}", 0));
    assert_eq!(value("CapAmb:"), format!("{:016x}", 0));
    let threads = fs::read_dir(format!("/proc/{}/task", root.process.pid())).unwrap();
    for thread in threads {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains(&format!("CapPrm:\t{kept}")), "{status}");
    }
}
