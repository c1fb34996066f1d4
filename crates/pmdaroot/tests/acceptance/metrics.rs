//! Under a real pmcd: the same answers as with Debian's agent, and the metrics of containers.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use testbed::{Client, PATIENCE, Pmcd, PmcdBuilder, Scratch, eventually};

use crate::bed::{DEBIANS, Guest, NAME_SPACE, OURS, RUNNING, STOPPED, State, identifier};

/// A pmcd with `program` as its agent, which listens in `folder`.
fn builder(program: &str, state: &State, folder: &Path) -> PmcdBuilder {
    let log = folder.join("root.log");
    let line = format!(
        "root\t1\tpipe\tbinary\t\t{program} -d 1 -l {}",
        log.display()
    );
    let mut builder = Pmcd::builder("alpha").agent(line, NAME_SPACE);
    for (name, path) in state.environment() {
        builder = builder.env(name, path);
    }
    for (name, value) in &state.more {
        builder = builder.env(name, value);
    }
    // That is where the socket goes, and where other agents look for it.
    builder.env("PCP_VAR_DIR", folder)
}

fn pminfo(pmcd: &Pmcd, args: &[&str]) -> String {
    let host = format!("localhost:{}", pmcd.port());
    let client = Client::new("pminfo").args(["-h", &host]).args(args);
    client.run().unwrap().succeeded().unwrap()
}

/// An engine's containers that both agents understand alike.
fn engines(guest: &Guest) -> State {
    let state = State::new().lxc_info(
        "case $2 in vm) echo 'State: RUNNING'; echo \"PID: $GUEST\";; *) echo 'State: STARTING';; esac",
    );
    let state = state.with("GUEST", guest.pid().to_string());
    state.lxc("vm");
    state.lxc("starting");
    for number in 0..20 {
        state.docker(
            &identifier(number),
            &format!("web{number}"),
            guest.pid(),
            RUNNING,
        );
    }
    state.docker(&identifier(20), "stopped", 0, STOPPED);
    let (one, two) = (identifier(30), identifier(31));
    state.podman(&[(&one, "pod one"), (&two, "pod two")]);
    state.podman_runs(&one, guest.pid());
    let group = format!("cgroup/unified/machine.slice/libpod-{one}.scope/container");
    fs::create_dir_all(state.scratch.join(group)).unwrap();
    let group = format!("cgroup/memory/system.slice/docker-{}.scope", identifier(3));
    fs::create_dir_all(state.scratch.join(group)).unwrap();
    state
}

#[test]
fn clients_see_the_same_with_both_agents() {
    let guest = Guest::new("inside");
    let state = engines(&guest);
    let folders = [Scratch::new().unwrap(), Scratch::new().unwrap()];
    let [ours, debians] = [(OURS, &folders[0]), (DEBIANS, &folders[1])]
        .map(|(program, folder)| builder(program, &state, folder.path()).start().unwrap());
    let asked = |pmcd: &Pmcd| pminfo(pmcd, &["-d", "-m", "-f", "containers"]);
    let expected = asked(&debians);
    assert!(expected.contains("value \"pod one\""), "{expected}");
    // The second time all is known.
    for _ in 0..2 {
        for (ours, debians) in asked(&ours).lines().zip(expected.lines()) {
            assert_eq!(ours, debians);
        }
    }
    for args in [
        ["-t", "containers"],
        ["-T", "containers"],
        ["-l", "containers"],
    ] {
        let shown = pminfo(&ours, &args);
        assert_eq!(
            shown.matches("\ncontainers.").count() + usize::from(shown.starts_with("containers.")),
            7
        );
        assert!(!shown.contains("Error"), "{shown}");
    }
}

#[test]
fn one_instance_can_be_asked_for_and_changes_are_seen() {
    let guest = Guest::new("inside");
    let (state, folder) = (State::new(), Scratch::new().unwrap());
    let pmcd = builder(OURS, &state, folder.path()).start().unwrap();
    let shown = pminfo(&pmcd, &["-f", "containers.name"]);
    assert!(shown.contains("No value(s) available!"), "{shown}");
    for number in 0..300 {
        state.docker(
            &identifier(number),
            &format!("web{number}"),
            guest.pid(),
            RUNNING,
        );
    }
    let shown = pminfo(&pmcd, &["-f", "containers"]);
    assert_eq!(shown.matches("value \"docker\"").count(), 300);
    let host = format!("localhost:{}", pmcd.port());
    let one =
        Client::new("pmval").args(["-h", &host, "-s1", "-i", &identifier(7), "containers.pid"]);
    let shown = one.run().unwrap().succeeded().unwrap();
    assert!(shown.contains(&guest.pid().to_string()), "{shown}");
}

#[test]
fn paused_and_restarting_containers_are_shown_as_they_are() {
    let (state, folder) = (State::new(), Scratch::new().unwrap());
    let paused = r#""Running":true,"Paused":true,"Restarting":false,"#;
    let restarting = r#""Running":true,"Paused":false,"Restarting":true,"#;
    state.docker(&identifier(1), "paused", 1, paused);
    state.docker(&identifier(2), "restarting", 0, restarting);
    let pmcd = builder(OURS, &state, folder.path()).start().unwrap();
    let value = |metric: &str, number| {
        let shown = pminfo(&pmcd, &["-f", &format!("containers.{metric}")]);
        let mut lines = shown.lines();
        let line = lines.find(|line| line.contains(&identifier(number)));
        line.and_then(|line| line.split("value ").nth(1))
            .map(str::to_owned)
    };
    let all = |number| {
        ["state.running", "state.paused", "state.restarting", "pid"].map(|one| value(one, number))
    };
    let shown = |values: [&str; 4]| {
        values.map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()))
    };
    assert_eq!(all(1), shown(["1", "1", "0", "1"]));
    assert_eq!(all(2), shown(["1", "0", "1", ""]));
}

#[test]
fn a_fetch_waits_for_the_states_of_lxc_but_not_for_one_that_hangs() {
    let script = "case $2 in stuck) sleep 20;; esac; sleep 0.02; echo State: RUNNING; echo PID: 1";
    let (state, folder) = (State::new().lxc_info(script), Scratch::new().unwrap());
    state.lxc("stuck");
    (0..20).for_each(|number| state.lxc(&format!("vm{number}")));
    let pmcd = builder(OURS, &state, folder.path()).start().unwrap();
    for _ in 0..3 {
        let shown = pminfo(&pmcd, &["-f", "containers.state.running"]);
        assert_eq!(shown.matches("value 1").count(), 20, "{shown}");
        assert!(!shown.contains("stuck"), "{shown}");
    }
}

#[test]
fn other_agents_show_what_a_container_sees() {
    let guest = Guest::new("inside");
    let (state, folder) = (State::new(), Scratch::new().unwrap());
    state.docker(&identifier(1), "web", guest.pid(), RUNNING);
    let pmcd = builder(OURS, &state, folder.path()).start().unwrap();
    let shown = pminfo(
        &pmcd,
        &["-f", "--container", "web", "kernel.uname.nodename"],
    );
    assert!(shown.contains("value \"inside\""), "{shown}");
    let shown = pminfo(&pmcd, &["-f", "--container", "web", "pmcd.hostname"]);
    assert!(shown.contains("value \"inside\""), "{shown}");
    let shown = pminfo(&pmcd, &["-f", "kernel.uname.nodename"]);
    assert!(!shown.contains("value \"inside\""), "{shown}");
}

#[test]
fn the_agent_ends_with_pmcd_however_that_ends() {
    for kill in [false, true] {
        let (state, folder) = (State::new(), Scratch::new().unwrap());
        let mut pmcd = builder(OURS, &state, folder.path()).start().unwrap();
        let socket = folder.join("pmcd/root.socket");
        pminfo(&pmcd, &["-f", "containers"]);
        assert!(UnixStream::connect(&socket).is_ok());
        if kill {
            pmcd.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
            eventually(PATIENCE, "the socket to go", || !socket.exists()).unwrap();
        } else {
            // It kills its agents at once, so that nothing can be put in order.
            pmcd.terminate().unwrap();
            let is_over = || UnixStream::connect(&socket).is_err();
            eventually(PATIENCE, "the agent to end", is_over).unwrap();
        }
    }
}
