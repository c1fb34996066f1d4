//! What is known of containers, from state folders laid out as the engines do it.

use std::fs;

use pcp_proto::Status;
use pcp_proto::root::Target;
use testbed::{PATIENCE, eventually, eventually_some};

use crate::bed::{Guest, RUNNING, Root, STOPPED, State, identifier, named};

const NO_CONTAINER: Result<i32, Status> = Err(Status::NO_CONTAINER);

fn errno(code: i32) -> Status {
    Status::from_errno(code)
}

#[test]
fn a_container_is_found_by_identifier_name_and_part_of_the_identifier() {
    let state = State::new();
    let (one, two) = (identifier(1), identifier(2));
    state.docker(&one, "with space", 41, RUNNING);
    state.docker(&two, "-hyphen", 42, RUNNING);
    let root = Root::ours(state);
    let mut collector = root.connect();
    for name in [&one, "with space", "/with space", &one[..12], &one[5..40]] {
        assert_eq!(collector.process_id(name), Ok(41), "{name}");
    }
    assert_eq!(collector.process_id("-hyphen"), Ok(42));
    assert_eq!(collector.process_id("with"), NO_CONTAINER);
    assert_eq!(
        collector.cgroup_name(named("-hyphen")),
        Ok(format!("docker/{two}"))
    );
    // Both have it.
    assert_eq!(collector.process_id("000000000000"), Err(errno(76)));
}

#[test]
fn changes_are_seen_by_the_next_question() {
    let root = Root::ours(State::new());
    let mut collector = root.connect();
    let state = &root.state;
    for round in 1..20 {
        let id = identifier(round);
        let name = format!("no{round}");
        assert_eq!(collector.process_id(&name), NO_CONTAINER);
        state.docker(&id, &name, 7, RUNNING);
        assert_eq!(collector.process_id(&name), Ok(7));
        state.docker(&id, &name, 8, RUNNING);
        assert_eq!(collector.process_id(&name), Ok(8));
        state.docker(&id, "renamed", 0, STOPPED);
        assert_eq!(collector.process_id(&name), NO_CONTAINER);
        assert_eq!(collector.process_id("renamed"), Err(errno(3)));
        fs::remove_dir_all(state.scratch.join("docker/containers").join(&id)).unwrap();
        assert_eq!(collector.process_id("renamed"), NO_CONTAINER);
    }
}

#[test]
fn three_hundred_containers_are_all_known() {
    let state = State::new();
    for number in 0_u32..300 {
        state.docker(
            &identifier(number),
            &format!("c{number}"),
            1000 + number,
            RUNNING,
        );
    }
    let root = Root::ours(state);
    let mut collector = root.connect();
    for number in 0_u32..300 {
        let pid = Ok((1000 + number).cast_signed());
        assert_eq!(collector.process_id(&format!("c{number}")), pid);
        assert_eq!(collector.process_id(&identifier(number)), pid);
    }
}

#[test]
fn a_file_that_cannot_be_read_costs_its_own_container_alone() {
    let state = State::new();
    state.docker(&identifier(1), "good", 7, RUNNING);
    for (number, content) in [
        (2, "{"),
        (3, "[]"),
        (4, r#"{"Name":"x","State":7}"#),
        (5, ""),
    ] {
        state.docker(&identifier(number), "bad", 7, RUNNING);
        let folder = state
            .scratch
            .join("docker/containers")
            .join(identifier(number));
        fs::write(folder.join("config.v2.json"), content).unwrap();
    }
    let fifo = state.scratch.join("docker/containers").join(identifier(6));
    fs::create_dir(&fifo).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(fifo.join("config.v2.json"))
        .status();
    assert!(made.unwrap().success());
    let huge = state.scratch.join("docker/containers").join(identifier(7));
    fs::create_dir(&huge).unwrap();
    let huge = fs::File::create(huge.join("config.v2.json")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let root = Root::ours(state);
    let mut collector = root.connect();
    assert_eq!(collector.process_id("good"), Ok(7));
    for number in 2..8 {
        assert_eq!(collector.process_id(&identifier(number)), NO_CONTAINER);
        assert!(root.log().contains(&identifier(number)), "{}", root.log());
    }
    // As soon as it can be read it is there.
    root.state.docker(&identifier(2), "mended", 9, RUNNING);
    assert_eq!(collector.process_id("mended"), Ok(9));
}

#[test]
fn podmans_containers_are_known_while_their_process_is_there() {
    let state = State::new();
    let (one, two) = (identifier(1), identifier(2));
    state.podman(&[(&one, "web"), (&two, "db")]);
    let guest = Guest::new("inside");
    state.podman_runs(&one, guest.pid());
    let group = format!(
        "unified/machine.slice/{}/libpod-{one}.scope",
        "x".repeat(200)
    );
    fs::create_dir_all(state.scratch.join("cgroup").join(&group)).unwrap();
    let root = Root::ours(state);
    let mut collector = root.connect();
    let pid = guest.pid().cast_signed();
    assert_eq!(collector.process_id("web"), Ok(pid));
    assert_eq!(
        collector.cgroup_name(named("web")),
        Ok(group["unified/".len()..].to_owned())
    );
    assert_eq!(
        collector.host_name(named("web")),
        Ok((pid, "inside".into()))
    );
    assert_eq!(collector.process_id("db"), Err(errno(3)));
    let other = Guest::new("other");
    root.state.podman_runs(&two, other.pid());
    assert_eq!(collector.process_id("db"), Ok(other.pid().cast_signed()));
    drop(other);
    assert_eq!(collector.process_id("db"), Err(errno(3)));
    root.state.podman(&[(&two, "db")]);
    assert_eq!(collector.process_id("web"), NO_CONTAINER);
    drop(guest);
}

#[test]
fn containers_of_pods_and_machines_are_known() {
    let state = State::new();
    let guest = Guest::new("inside");
    let pid = guest.pid();
    let (task, crio) = (identifier(1), identifier(2));
    let tasks = state
        .scratch
        .join("containerd/io.containerd.runtime.v2.task");
    let folder = tasks.join("k8s.io").join(&task);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("init.pid"), pid.to_string()).unwrap();
    let spec = r#"{"ociVersion":"1","annotations":{"io.kubernetes.cri.container-name":"web",
        "io.kubernetes.cri.sandbox-name":"pod-1"}}"#;
    fs::write(folder.join("config.json"), spec).unwrap();
    let scope = format!("kubepods.slice/kubepods-pod1.slice/crio-{crio}.scope");
    let group = state.scratch.join("cgroup/memory").join(&scope);
    fs::create_dir_all(&group).unwrap();
    fs::write(group.join("cgroup.procs"), format!("{pid}\n")).unwrap();
    let machines = state.scratch.folder("machines").unwrap();
    let machine = format!("NAME=deb\nSERVICE=systemd-nspawn\nCLASS=container\nLEADER={pid}\n");
    fs::write(machines.join("deb"), machine).unwrap();
    let root = Root::ours(state);
    let mut collector = root.connect();
    for name in ["pod-1/web", &task, &crio, "deb"] {
        assert_eq!(collector.process_id(name), Ok(pid.cast_signed()), "{name}");
    }
    assert_eq!(collector.cgroup_name(named(&crio)), Ok(scope));
    // All of them come and go.
    let later = identifier(3);
    let folder = tasks.join("other").join(&later);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("init.pid"), pid.to_string()).unwrap();
    assert_eq!(collector.process_id(&later), Ok(pid.cast_signed()));
    fs::remove_dir_all(&group).unwrap();
    assert_eq!(collector.process_id(&crio), NO_CONTAINER);
    fs::remove_file(machines.join("deb")).unwrap();
    assert_eq!(collector.process_id("deb"), NO_CONTAINER);
}

#[test]
fn an_lxc_info_that_hangs_holds_nobody_up() {
    let script = "case $2 in stuck) sleep 20;; esac; echo State: RUNNING; echo PID: 77";
    let state = State::new().lxc_info(script);
    ["stuck", "a vm", "-vm"]
        .iter()
        .for_each(|name| state.lxc(name));
    state.docker(&identifier(1), "web", 7, RUNNING);
    let root = Root::ours(state);
    let (mut waiting, mut collector) = (root.connect(), root.connect());
    waiting.send(&pcp_proto::root::Request::ProcessId(named("stuck")));
    assert_eq!(collector.process_id("web"), Ok(7));
    for name in ["a vm", "-vm"] {
        collector.await_process_id(name, Ok(77));
    }
    assert_eq!(collector.cgroup_name(named("a vm")), Ok("lxc/a vm".into()));
    assert_eq!(waiting.receive_found(), Err(Status::NO_CONTAINER));
    root.await_log("LXC container \"stuck\" is left out");
}

#[test]
fn an_lxc_info_that_hangs_ends_with_the_server() {
    let state = State::new().lxc_info("echo $$ > $(dirname $0)/number; sleep 1000");
    state.lxc("stuck");
    let mut root = Root::ours(state);
    let number = root.state.scratch.join("number");
    let pid: u32 = eventually_some(PATIENCE, "the program to start", || {
        fs::read_to_string(&number).ok()?.trim().parse().ok()
    })
    .unwrap();
    root.process.terminate().unwrap();
    let is_over = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    eventually(PATIENCE, "the program to end", is_over).unwrap();
}

#[test]
fn an_lxc_container_that_is_started_later_is_found() {
    let state = State::new().lxc_info("cat $(dirname $0)/said");
    state.lxc("vm");
    fs::write(state.scratch.join("said"), "State: STOPPED\n").unwrap();
    let root = Root::ours(state);
    let mut collector = root.connect();
    collector.await_process_id("vm", Err(errno(3)));
    fs::write(root.state.scratch.join("said"), "State: RUNNING\nPID: 5\n").unwrap();
    collector.await_process_id("vm", Ok(5));
}

#[test]
fn processes_are_looked_up_by_their_number_too() {
    let root = Root::ours(State::new());
    let mut collector = root.connect();
    let guest = Guest::new("by-number");
    let pid = guest.pid().cast_signed();
    let named = Ok((pid, "by-number".to_owned()));
    assert_eq!(collector.host_name(Target::Pid(pid)), named);
    assert!(collector.cgroup_name(Target::Pid(pid)).is_ok());
    for nobody in [0, -1, i32::MIN, i32::MAX] {
        assert_eq!(collector.host_name(Target::Pid(nobody)), Err(errno(2)));
    }
    // It was not taken along.
    let own = std::process::id().cast_signed();
    let (_, name) = collector.host_name(Target::Pid(own)).unwrap();
    assert_ne!(name, "by-number");
}
