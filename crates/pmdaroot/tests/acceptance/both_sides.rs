//! Both client libraries with both servers: a program in C says the same four times, and our own
//! library gets from our server what Debian's forgets.

use std::time::Duration;

use pmda_root::{AnyEnded, IpcType, RootConnection};
use testbed::{DEBIAN_PMDAROOT, PmdaRoot, ROOT_CALLS, RootLibrary, RootProgram, UtsBox};

use crate::bed::{OURS, Root, State, identifier};

#[test]
fn a_program_in_c_prints_the_same_with_both_libraries_and_both_servers() {
    let inside = UtsBox::start("inside").unwrap();
    let servers = [DEBIAN_PMDAROOT, OURS].map(|server| PmdaRoot::start(server).unwrap());
    let mut printed = Vec::new();
    for server in &servers {
        for (number, name) in [(1, "alpha"), (2, "beta")] {
            let id = identifier(number);
            server.docker_container(&id, name, inside.pid()).unwrap();
        }
        for library in [RootLibrary::Debian, RootLibrary::Ours] {
            let program = RootProgram::make(ROOT_CALLS, library).unwrap();
            let client = program.client().unwrap().args([server.socket()]);
            let client = client.args([inside.pid().to_string()]);
            let names = [
                "alpha",
                "beta",
                &identifier(2),
                &identifier(1)[..8],
                "nosuch",
            ];
            let ended = client.args(names).run().unwrap();
            printed.push(ended.succeeded().unwrap());
        }
    }
    let expected = &printed[0];
    assert!(expected.contains("\"inside\""), "{expected}");
    for other in &printed[1..] {
        assert_eq!(other, expected);
    }
}

#[test]
fn our_library_waits_for_one_process_among_several() {
    let root = Root::ours(State::new());
    let mut connection = RootConnection::open_at(root.socket()).unwrap();
    let start = |connection: &mut RootConnection, line: &str| {
        connection.start(IpcType::Pipe, "agent", line).unwrap().pid
    };
    let asleep = start(&mut connection, "sleep 1000");
    let exits: Vec<i32> = (1..6)
        .map(|code| start(&mut connection, &format!("sh -c 'exit {code}'")))
        .collect();
    for (code, pid) in (1..6).zip(exits).rev() {
        assert_eq!(connection.wait(pid).unwrap().status().code(), Some(code));
    }
    let patience = Duration::from_millis(20);
    assert_eq!(connection.wait_timeout(asleep, patience).unwrap(), None);
    connection.terminate(asleep).unwrap();
    assert_eq!(connection.wait(asleep).unwrap().code, 15);
    assert_eq!(connection.ended().unwrap(), AnyEnded::NoProcesses);
}
