//! Everything that can go wrong with real servers: what the program is told, and which machine is
//! blamed.

use testbed::{Conduct, Danted, Finished, Firewall, Linkage};

use crate::fixture::{Bed, Caller, ECHO, MODES, WAYS, Way, assert_told, told};

const SERVER: &str = "SOCKS server 10.1.0.1:1080";

/// Runs the program to a target with debugging, both blocking and not; the errno of both is the same.
/// Gives what the blocking one said.
fn fail(bed: &Bed, caller: &Caller, way: Way, target: (&str, &str), version: &str) -> Finished {
    let path = caller.path();
    let run = |command: &str, how: &str| -> Finished {
        let words = [path.to_str().unwrap(), command, target.0, target.1, how];
        let client = bed.through(way, &words).env("SOCKS_DEBUG", "1");
        client.env("SOCKS_VERSION", version).run().unwrap()
    };
    let blocking = run("connect", "");
    for (how, events) in [("poll", "error"), ("select", "in out"), ("epoll", "error")] {
        let seen = run("fail", how);
        let wanted = format!(
            "connect: EINPROGRESS\nafter: {events}\nerror: {}\nerror again: none\npeer: ENOTCONN\n",
            blocking.stdout.trim()
        );
        assert_eq!(seen.stdout, wanted, "{way:?}: {blocking}{seen}");
        assert_eq!(told(&seen).lines().last(), told(&blocking).lines().last());
    }
    blocking
}

#[test]
fn the_target_is_told_from_the_server() {
    let bed = Bed::new();
    let danted = Danted::builder()
        .block("10.2.0.2/32 port = 81")
        .start(&bed.wall)
        .unwrap();
    let caller = Caller::new(Linkage::Dynamic);
    let refused = (Firewall::OUTSIDE, "9");
    for (target, version, errno, culprit) in [
        (refused, "5", "ECONNREFUSED", "10.2.0.2:9 was not reached"),
        (refused, "4", "ECONNREFUSED", "10.2.0.2:9 was not reached"),
        (
            (Firewall::OUTSIDE6, "9"),
            "5",
            "ECONNREFUSED",
            "[fd02::2]:9 was not reached",
        ),
        (
            (Firewall::UNREACHABLE, "9"),
            "5",
            "EHOSTUNREACH",
            "10.4.0.1:9 was not reached",
        ),
        (
            (Firewall::NO_NETWORK, "9"),
            "5",
            "ENETUNREACH",
            "10.5.0.1:9 was not reached",
        ),
        (
            (Firewall::OUTSIDE, "81"),
            "5",
            "EACCES",
            "itself failed the connection",
        ),
    ] {
        for way in WAYS {
            let ended = fail(&bed, &caller, way, target, version);
            assert_eq!(
                ended.stdout,
                format!("{errno}\n"),
                "{way:?}: {}{ended}",
                danted.log()
            );
            assert_told(&ended, &[SERVER, culprit]);
        }
    }
}

/// libpcp calls every failure a refused connection, a direct one as well.
#[test]
fn a_client_of_pmcd_learns_only_with_debugging_who_refused() {
    let bed = Bed::new();
    let _danted = Danted::start(&bed.wall).unwrap();
    for way in WAYS {
        for host in [
            Firewall::OUTSIDE,
            Firewall::UNREACHABLE,
            Firewall::NO_NETWORK,
        ] {
            let client = bed.through(way, &["pminfo", "-h", host, "-f", "pmcd.hostname"]);
            let ended = client.run().unwrap();
            assert_eq!(ended.status.code(), Some(1), "{ended}");
            assert!(
                ended.stderr.contains("Cannot connect to PMCD"),
                "{way:?}: {ended}"
            );
            assert_eq!(told(&ended), "", "only SOCKS_DEBUG says more");
            let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
            assert_told(
                &ended,
                &[&format!("{host}:44321 was not reached, says {SERVER}")],
            );
        }
    }
}

#[test]
fn the_servers_own_denial_is_not_the_targets() {
    let bed = Bed::new();
    let _danted = Danted::builder()
        .block("10.2.0.2/32 port = 7")
        .start(&bed.wall)
        .unwrap();
    let echo = bed.echo();
    let caller = Caller::new(Linkage::Dynamic);
    for way in WAYS {
        let ended = fail(&bed, &caller, way, (Firewall::OUTSIDE, ECHO), "5");
        assert_eq!(ended.stdout, "EACCES\n", "{ended}");
        assert_told(&ended, &[SERVER, "itself"]);
        assert!(!told(&ended).contains("was not reached"), "{ended}");
    }
    assert_eq!(echo.accepted(), 0);
}

#[test]
fn our_own_denial_names_the_line() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let conf = bed.routes("# none\ndeny 10.2.0.0/24\nsockd 0.0.0.0 0.0.0.0\n");
    let caller = Caller::new(Linkage::Dynamic);
    for way in WAYS {
        let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_DEBUG", "1");
        let ended = client.run().unwrap();
        assert_eq!(ended.stdout, "EACCES\n", "{ended}");
        assert_told(
            &ended,
            &[
                "10.2.0.2",
                "denied",
                &format!("line 2 of {}", conf.display()),
            ],
        );
    }
    assert_eq!(danted.connections(), 0);
}

#[test]
fn the_next_server_is_tried_when_one_is_down() {
    let bed = Bed::new();
    let _danted = Danted::start(&bed.wall).unwrap();
    let _echo = bed.echo();
    let caller = Caller::new(Linkage::Dynamic);
    bed.routes("sockd @=10.1.0.1:1,10.1.0.1:2,10.1.0.1:1080 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_DEBUG", "1");
        let ended = client.run().unwrap();
        assert_eq!(
            ended.stdout, "connected\npeer: the target\necho\n",
            "{way:?}: {ended}"
        );
        assert_told(&ended, &["SOCKS server 10.1.0.1:1 refused"]);
        assert_told(&ended, &["SOCKS server 10.1.0.1:2 refused"]);
        assert_told(&ended, &["connected to 10.2.0.2:7", SERVER]);
    }
}

#[test]
fn when_all_servers_are_down_each_is_named() {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    bed.routes("sockd @=10.1.0.1:1,10.1.0.1:2 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        let ended = fail(&bed, &caller, way, (Firewall::OUTSIDE, ECHO), "5");
        assert_eq!(ended.stdout, "ECONNREFUSED\n", "{way:?}: {ended}");
        assert_told(&ended, &["SOCKS server 10.1.0.1:1 refused"]);
        assert_told(&ended, &["SOCKS server 10.1.0.1:2 refused"]);
        assert!(!told(&ended).contains("was not reached"), "{ended}");
    }
}

#[test]
fn a_silent_server_costs_no_more_than_the_timeout_for_pmcd() {
    let bed = Bed::new();
    let mut danted = Danted::start(&bed.wall).unwrap();
    let caller = Caller::new(Linkage::Dynamic);
    danted.process().pause().unwrap();
    for way in MODES {
        let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_DEBUG", "1");
        let ended = client.env("PMCD_CONNECT_TIMEOUT", "0.5").run().unwrap();
        assert_eq!(ended.stdout, "ETIMEDOUT\n", "{way:?}: {ended}");
        assert_told(&ended, &[SERVER, "did not answer in time"]);
        let words = ["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"];
        let client = bed.through(way, &words).env("PMCD_CONNECT_TIMEOUT", "1");
        let ended = client.run().unwrap();
        assert!(ended.stderr.contains("Cannot connect to PMCD"), "{ended}");
    }
}

#[test]
fn a_silent_server_leaves_time_for_the_next() {
    let bed = Bed::new();
    let silent = Conduct {
        silent: true,
        ..Conduct::default()
    };
    let _servers = [
        bed.stub_at(Firewall::GATE, 1081, silent),
        bed.stub(Conduct::default()),
    ];
    let caller = Caller::new(Linkage::Dynamic);
    bed.routes("sockd @=10.1.0.1:1081,10.1.0.1:1080 0.0.0.0 0.0.0.0\n");
    let running = MODES.map(|way| {
        let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_DEBUG", "1");
        client.env("PMCD_CONNECT_TIMEOUT", "8").start().unwrap()
    });
    for client in running {
        let ended = client.finish().unwrap();
        assert_eq!(
            ended.stdout, "connected\npeer: the target\necho\n",
            "{ended}"
        );
        assert_told(
            &ended,
            &["SOCKS server 10.1.0.1:1081 did not answer in time"],
        );
    }
}

#[test]
fn a_programs_own_timeout_comes_first() {
    let bed = Bed::new();
    let _silent = bed.stub(Conduct {
        silent: true,
        ..Conduct::default()
    });
    for way in MODES {
        let words = [
            "curl",
            "-sS",
            "--connect-timeout",
            "0.5",
            "http://10.2.0.2/",
        ];
        let client = bed.through(way, &words).env("PMCD_CONNECT_TIMEOUT", "3600");
        let ended = client.run().unwrap();
        assert_eq!(ended.status.code(), Some(28), "{way:?}: {ended}");
    }
}

#[test]
fn a_program_learns_that_no_server_is_known() {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    for way in MODES {
        let client = caller.echo(&bed, way, &["connect"]).env("SOCKS_SERVER", "");
        let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
        assert_eq!(ended.stdout, "EHOSTUNREACH\n", "{way:?}: {ended}");
        assert_told(&ended, &["SOCKS_SERVER", "@="]);
    }
}

#[test]
fn a_server_whose_name_nobody_knows_is_named() {
    let bed = Bed::new();
    let caller = Caller::new(Linkage::Dynamic);
    for way in MODES {
        let client = caller
            .echo(&bed, way, &["connect"])
            .env("SOCKS_SERVER", "no.such.example");
        let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
        assert_eq!(ended.stdout, "EHOSTUNREACH\n", "{way:?}: {ended}");
        assert_told(&ended, &["no.such.example", "cannot be resolved"]);
    }
}
