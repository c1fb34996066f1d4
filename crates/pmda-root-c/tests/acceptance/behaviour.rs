//! What our library does and Debian's does not.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;

use anyhow::Result;
use testbed::{
    Client, DEBIAN_PMDAROOT, PmdaRoot, RootLibrary, RootProgram, Scratch, UtsBox,
    built_root_library,
};

const ALPHA: &str = "a1a1000000000000000000000000000000000000000000000000000000000001";

/// What the program prints, whatever its exit status.
fn printed(what: &str, socket: &Path, more: &[String]) -> Result<String> {
    let program = RootProgram::make(include_str!("ours.c"), RootLibrary::Ours)?;
    let client = program.client()?.args([what]).args([socket]).args(more);
    Ok(client.run()?.stdout)
}

fn with_debians_server(what: &str) -> Result<String> {
    let inside = UtsBox::start("inside")?;
    let root = PmdaRoot::start(DEBIAN_PMDAROOT)?;
    root.docker_container(ALPHA, "alpha", inside.pid())?;
    printed(what, &root.socket(), &[inside.pid().to_string()])
}

#[test]
fn descriptors_are_close_on_exec() {
    let said = with_debians_server("descriptors").unwrap();
    assert_eq!(said, "socket 1\ninput 1 output 1\n");
}

#[test]
fn a_container_can_be_looked_up_by_a_process() {
    assert_eq!(
        with_debians_server("by-pid").unwrap(),
        "6 inside\nno process -22\n"
    );
}

#[test]
fn names_end_with_their_terminator_or_their_length() {
    let said = with_debians_server("names").unwrap();
    assert_eq!(said, "1\n1\n1\n-22\n-7 ??????\n6\ninside\n");
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_they_are_sent() {
    let said = with_debians_server("arguments").unwrap();
    assert_eq!(said, "-22\n-22\n-22\n5 6 7\n-22 -107\n-107\n");
}

#[test]
fn a_wait_for_a_process_lets_it_end_by_itself() {
    let said = with_debians_server("wait").unwrap();
    assert_eq!(said, "1 0\n1\n1\n-10\n");
}

#[test]
fn a_connection_that_fails_gives_its_errno() {
    let said = printed("connect", Path::new("/nonexistent/root.socket"), &[]).unwrap();
    assert_eq!(said, "-2\n");
}

#[test]
fn the_default_socket_lies_where_pcp_conf_says() {
    let scratch = Scratch::new().unwrap();
    scratch.folder("pmcd").unwrap();
    let (socket, server) = rogue(&scratch, "pmcd/root.socket", Vec::new()).unwrap();
    let source = include_str!("default.c");
    let program = RootProgram::make(source, RootLibrary::Ours).unwrap();
    let client = program.client().unwrap();
    let finished = client.env("PCP_VAR_DIR", scratch.path()).run();
    assert_eq!(finished.unwrap().stdout, "1\n", "{}", socket.display());
    server.join().unwrap();
}

fn integers(integers: &[i32]) -> Vec<u8> {
    integers.iter().flat_map(|int| int.to_ne_bytes()).collect()
}

/// A server with one client, whose first question it answers with `answer`.
fn rogue(
    scratch: &Scratch,
    name: &str,
    answer: Vec<u8>,
) -> Result<(std::path::PathBuf, JoinHandle<()>)> {
    let path = scratch.join(name);
    let listener = UnixListener::bind(&path)?;
    let serve = move |mut client: UnixStream| -> std::io::Result<()> {
        client.write_all(&integers(&[0x9000, 24, 0, 2, 7, 0]))?;
        let mut request = [0; 4096];
        if client.read(&mut request)? > 0 {
            client.write_all(&answer)?;
        }
        client.read_to_end(&mut Vec::new()).map(drop)
    };
    let thread = std::thread::spawn(move || {
        if let Ok((client, _)) = listener.accept() {
            // A client that leaves early is what some tests are about.
            let _ = serve(client);
        }
    });
    Ok((path, thread))
}

#[test]
fn answers_with_false_lengths_are_refused() {
    for (len, name_len) in [
        (30, 7),
        (30, -1),
        (30, i32::MAX),
        (-1, 6),
        (i32::MAX, 6),
        (8, 6),
    ] {
        let scratch = Scratch::new().unwrap();
        let answer = [&integers(&[0x9002, len, 0, 2, 1, name_len])[..], b"inside"].concat();
        let (socket, server) = rogue(&scratch, "root.socket", answer).unwrap();
        let said = printed("host-name", &socket, &[]).unwrap();
        assert_eq!(said, "-12366 ??\n-12368\n", "{len} {name_len}");
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_forever() {
    let scratch = Scratch::new().unwrap();
    let (socket, server) = rogue(&scratch, "root.socket", Vec::new()).unwrap();
    assert_eq!(
        printed("host-name", &socket, &[]).unwrap(),
        "-110 ??\n-12368\n"
    );
    server.join().unwrap();
}

#[test]
fn the_library_exports_its_functions_and_nothing_else() {
    let symbols = Client::new("nm")
        .args(["-D", "--defined-only", "--format=posix"])
        .args([built_root_library().unwrap()])
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let names: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        [
            "pmdaRootConnect",
            "pmdaRootContainerCGroupName",
            "pmdaRootContainerHostName",
            "pmdaRootContainerProcessID",
            "pmdaRootProcessStart",
            "pmdaRootProcessTerminate",
            "pmdaRootProcessWait",
            "pmdaRootShutdown",
        ]
    );
}
