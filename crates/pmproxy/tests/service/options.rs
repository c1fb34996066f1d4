//! Options of the command line that concern neither ports nor files, and what is said of wrong
//! ones.

use anyhow::Result;
use pcp_proto::PduHeader;
use testbed::{Client, Finished, Stub};

use crate::home::{Home, pdu, round_trip, session};

fn run(options: &[&str]) -> Result<Finished> {
    let program = env!("CARGO_BIN_EXE_pmproxy");
    Client::new(program).args(options).run()
}

#[test]
fn help_is_printed_on_standard_output() {
    for option in ["-?", "--help"] {
        let shown = run(&[option]).unwrap().succeeded().unwrap();
        assert!(shown.starts_with("Usage: pmproxy [options]"), "{shown}");
    }
}

#[test]
fn help_that_cannot_be_written_is_a_failure_and_no_crash() {
    let script = format!("{} -? > /dev/full", env!("CARGO_BIN_EXE_pmproxy"));
    let ended = Client::new("sh").args(["-c", &script]).run().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert_eq!(ended.stderr, "", "{ended}");
}

#[test]
fn what_is_wrong_with_the_command_line_is_named_and_the_usage_shown() {
    let cases: [(&[&str], &str); 9] = [
        (&["-Z"], "invalid option '-Z'"),
        (&["--no-such-option"], "invalid option '--no-such-option'"),
        (&["-f", "-F"], "at most one of -f and -F may be given"),
        (&["start"], "unexpected argument \"start\""),
        (&["-p"], "missing argument for option '-p'"),
        (
            &["-p", "44322,ssh"],
            "\"ssh\" is not a port number from 1 to 65535",
        ),
        (
            &["-L", "11"],
            "-L \"11\": the maximum PDU size is a number of bytes",
        ),
        (&["-D", "contxt"], "\"contxt\" is not a debugging option"),
        (&["-l", ""], "option -l needs a value that is not empty"),
    ];
    for (options, expected) in cases {
        let ended = run(options).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert!(ended.stderr.starts_with("pmproxy: "), "{ended}");
        assert!(ended.stderr.contains(expected), "{ended}");
        assert!(ended.stderr.contains("Usage: pmproxy [options]"), "{ended}");
        assert_eq!(ended.stdout, "", "{ended}");
    }
}

#[test]
fn long_options_do_what_the_short_ones_do() {
    let home = Home::new().unwrap();
    home.write("there.conf", "[pmproxy]\ncolour = blue\n")
        .unwrap();
    let [_, host, _, port] = home.here();
    let options = [
        "--foreground",
        "--config=there.conf",
        "--debug=context",
        "--log=pmproxy.log",
        "--socket",
        "there.socket",
        "--interface",
        &host,
        "--port",
        &port,
    ];
    let guest = home.pmproxy(options).up().unwrap();
    let socket = format!("ok unix {}", home.join("there.socket").display());
    assert_eq!(guest.ports(), [socket, format!("ok {port} inet {host}")]);
    guest
        .says("there.conf: unknown and ignored: colour")
        .unwrap();
    session(home.address(), &Stub::echo().unwrap()).unwrap();
    guest.says("Debug: client 127.0.0.1").unwrap();
    let user = home.pmproxy(["--managed", "--username=no-such-user"]);
    assert!(user.fails().unwrap().contains("-U no-such-user"));
}

#[test]
fn options_of_todays_program_are_accepted_and_said_to_have_no_effect() {
    let home = Home::new().unwrap();
    let short = ["-d", "-t", "-h", "redis.example", "-r", "6379"];
    let long = [
        "--deprecated",
        "--timeseries",
        "--redishost=redis.example",
        "--redisport=6379",
    ];
    for options in [&short[..], &long[..]] {
        let guest = home.foreground().add(options).up().unwrap();
        for option in ["-d", "-t", "-h", "-r"] {
            guest
                .says(&format!("option {option} has no effect"))
                .unwrap();
        }
    }
}

#[test]
fn pdus_up_to_the_limit_pass_and_longer_ones_end_the_session() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    for (options, limit) in [
        (&[][..], 65536),
        (&["-L", "100"][..], 100),
        (&["-L131072"][..], 131_072),
    ] {
        let guest = home.foreground().add(options).up().unwrap();
        let mut wire = session(home.address(), &pmcd).unwrap();
        round_trip(&mut wire, limit).unwrap();
        wire.send(&pdu(limit + 1)[..PduHeader::SIZE]).unwrap();
        let (rest, _) = wire.receive_to_end().unwrap();
        assert!(
            rest.is_empty(),
            "{} bytes of the long PDU came back",
            rest.len()
        );
        guest.says(&format!("{}", limit + 1)).unwrap();
    }
}

#[test]
fn clients_are_traced_when_debugging_contexts_and_not_otherwise() {
    let pmcd = Stub::echo().unwrap();
    let home = Home::new().unwrap();
    for options in [
        &["-D", "context"][..],
        &["-Dpdu", "-D", "fetch,context"],
        &["-D", "all"],
    ] {
        let guest = home.foreground().add(options).up().unwrap();
        let wire = session(home.address(), &pmcd).unwrap();
        let client = wire.stream().local_addr().unwrap();
        guest.says(&format!("client {client} connected")).unwrap();
        guest
            .says(&format!(
                "client {client} is connected to 127.0.0.1:{}",
                pmcd.port()
            ))
            .unwrap();
        drop(wire);
        guest
            .says(&format!(
                "client {client} of 127.0.0.1:{} ended",
                pmcd.port()
            ))
            .unwrap();
    }
    let guest = home.foreground().add(["-D", "pdu"]).up().unwrap();
    drop(session(home.address(), &pmcd).unwrap());
    pmcd.await_open(0).unwrap();
    let ended = guest.ends_on(nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(ended.status.success(), "{ended}");
    assert!(
        !home.read("pmproxy.log").contains("client 127"),
        "{}",
        home.read("pmproxy.log")
    );
}
