//! `pmsocks --check`: which line decides, which server would be used, and whether it works.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use testbed::{Danted, Finished, Firewall, PATIENCE, Who, eventually};

use crate::fixture::Bed;

fn check(bed: &Bed, who: Who, goal: &str) -> Finished {
    bed.pmsocks(who, &["--check", goal]).run().unwrap()
}

#[test]
fn it_names_the_line_and_the_server_and_tries_it() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _pmcd = bed.pmcd();
    let conf = bed.routes("direct LOCALHOSTNAME\n\nsockd @=firewall 0.0.0.0 0.0.0.0\n");
    let mut count = 0;
    for who in Who::BOTH {
        for goal in [
            "10.2.0.2",
            "10.2.0.2:44321",
            "[fd02::2]",
            Firewall::OUTSIDE_NAME,
        ] {
            let shown = check(&bed, who, goal).succeeded().unwrap();
            let line = format!("line 3 of {} decides: sockd", conf.display());
            assert!(shown.contains(&line), "{shown}");
            assert!(shown.contains("server firewall, port 1080"), "{shown}");
            assert!(
                shown.contains("connected through SOCKS server 10.1.0.1:1080, version 5"),
                "{shown}"
            );
            count += 1;
        }
    }
    // It answers before it writes into its log.
    eventually(PATIENCE, "its log", || danted.connections() >= count).unwrap();
    assert_eq!(danted.connections(), count);
}

#[test]
fn a_direct_line_is_tried_directly() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let conf = bed.routes("direct 10.1.0.0/24\n");
    for who in Who::BOTH {
        let shown = check(&bed, who, "10.1.0.1:1080").succeeded().unwrap();
        assert!(
            shown.contains(&format!("line 1 of {} decides: direct", conf.display())),
            "{shown}"
        );
        assert!(shown.contains("connected directly"), "{shown}");
    }
    assert_eq!(danted.connections(), 0);
}

#[test]
fn a_denial_is_not_tried() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let conf = bed.routes("# all others\ndeny 10.2.0.0/24\nsockd 10.4.0.0/24\n");
    for who in Who::BOTH {
        let denied = check(&bed, who, "10.2.0.2");
        assert_eq!(denied.status.code(), Some(1), "{denied}");
        let line = format!("line 2 of {} decides: deny", conf.display());
        assert!(denied.stdout.contains(&line), "{denied}");
        let unmatched = check(&bed, who, "10.5.0.1");
        assert_eq!(unmatched.status.code(), Some(1), "{unmatched}");
        assert!(unmatched.stdout.contains("no line of "), "{unmatched}");
    }
    assert_eq!(danted.connections(), 0);
}

#[test]
fn a_failure_names_the_machine() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    for who in Who::BOTH {
        let refused = check(&bed, who, "10.2.0.2:9");
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        let words = "10.2.0.2:9 was not reached, says SOCKS server 10.1.0.1:1080";
        assert!(refused.stdout.contains(words), "{refused}");
    }
    drop(danted);
    for who in Who::BOTH {
        let down = check(&bed, who, "10.2.0.2:9");
        assert_eq!(down.status.code(), Some(1), "{down}");
        assert!(
            down.stdout.contains("SOCKS server 10.1.0.1:1080 refused"),
            "{down}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_call_or_the_file_is_said() {
    let bed = Bed::new();
    for goal in ["", ":80", "host:port", "host:0"] {
        let ended = check(&bed, Who::Nobody, goal);
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert!(ended.stderr.contains("--check"), "{ended}");
    }
    let conf = bed.routes("perhaps 0.0.0.0 0.0.0.0\n");
    let ended = check(&bed, Who::Nobody, "10.2.0.2");
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(
        ended
            .stderr
            .contains(&format!("{}:1: action: ", conf.display())),
        "{ended}"
    );
}

#[test]
fn commands_are_said_to_be_off() {
    let bed = Bed::new();
    let conf = bed.routes("deny 0.0.0.0 0.0.0.0 : echo %Z\n");
    let ended = check(&bed, Who::Nobody, "10.2.0.2");
    assert!(ended.stdout.contains("not run now"), "{ended}");
    fs::set_permissions(&conf, Permissions::from_mode(0o666)).unwrap();
    let ended = check(&bed, Who::Nobody, "10.2.0.2");
    let words = format!("{}: shell commands are not run: ", conf.display());
    assert!(ended.stdout.contains(&words), "{ended}");
}

#[test]
fn where_several_servers_fail_it_says_how_to_see_each() {
    let bed = Bed::new();
    bed.routes("sockd @=10.1.0.1:1,10.1.0.1:2 0.0.0.0 0.0.0.0\n");
    let ended = check(&bed, Who::Nobody, "10.2.0.2");
    assert!(ended.stdout.contains("10.1.0.1:2 refused"), "{ended}");
    assert!(ended.stdout.contains("set SOCKS_DEBUG"), "{ended}");
    let client = bed.pmsocks(Who::Nobody, &["--check", "10.2.0.2"]);
    let ended = client.env("SOCKS_DEBUG", "1").run().unwrap();
    assert!(ended.stderr.contains("10.1.0.1:1 refused"), "{ended}");
}
