//! Names that only the SOCKS server knows.

use testbed::{Conduct, Danted, Firewall, Linkage, SocksStub, Who};

use crate::fixture::{Bed, Caller, ECHO, Way, lines};

/// Names need the library: who resolves without it gets what the local resolver says.
const WAYS: [Way; 2] = [
    Way {
        who: Who::Root,
        mode: "preload",
    },
    Way {
        who: Who::Nobody,
        mode: "preload",
    },
];

const NAME: &str = Firewall::OUTSIDE_NAME;

fn crossing() -> (Bed, SocksStub, Caller) {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    (bed, stub, Caller::new(Linkage::Dynamic))
}

/// Fails unless the server was last asked for this.
fn assert_asked(stub: &SocksStub, wanted: &str) {
    assert_eq!(stub.asked().last().map(String::as_str), Some(wanted));
}

#[test]
fn the_server_resolves_what_the_resolver_does_not_know() {
    let (bed, stub, caller) = crossing();
    for way in WAYS {
        for (how, family) in [
            ("", "4"),
            ("any", "4"),
            ("4", "4"),
            ("6", "6"),
            ("canon", "4"),
        ] {
            let client = caller.to(&bed, way, NAME, &["name", how]);
            let mut shown = lines(&client);
            if how == "canon" {
                assert_eq!(shown.remove(0), format!("canonical name: {NAME}"));
            }
            let wanted = [
                &format!("family: {family}"),
                "connected",
                "peer: the target",
                "echo",
            ];
            assert_eq!(shown, wanted, "{way:?} {how:?}");
            assert_asked(&stub, &format!("5 @{NAME}:{ECHO}"));
        }
        let client = caller.to(&bed, way, NAME, &["old-name"]);
        let wanted = [
            &format!("name: {NAME}"),
            "connected",
            "peer: the target",
            "echo",
        ];
        assert_eq!(lines(&client), wanted, "{way:?}");
        assert_asked(&stub, &format!("5 @{NAME}:{ECHO}"));
    }
}

#[test]
fn what_the_resolver_knows_is_asked_for_by_its_address() {
    let (bed, stub, caller) = crossing();
    for way in WAYS {
        for command in ["name", "old-name"] {
            let shown = lines(&caller.to(&bed, way, "firewall", &[command]));
            assert_eq!(shown.last().unwrap(), "echo");
            assert_asked(&stub, &format!("5 @{}:{ECHO}", Firewall::GATE));
        }
        let shown = lines(&caller.to(&bed, way, "10.9.9.9", &["name", "numeric"]));
        assert_eq!(shown.last().unwrap(), "echo");
        assert_asked(&stub, &format!("5 @10.9.9.9:{ECHO}"));
    }
}

#[test]
fn a_name_stays_unknown_where_no_route_sends_it_to_a_server() {
    let (bed, stub, caller) = crossing();
    for routes in [
        "direct 0.0.0.0 0.0.0.0",
        "deny 0.0.0.0 0.0.0.0",
        "direct LOCALHOSTNAME\nsockd 10.2.0.0/24",
        "deny .example\nsockd 0.0.0.0 0.0.0.0",
        "deny outside.example\nsockd 0.0.0.0 0.0.0.0",
        "sockd *=adm 0.0.0.0 0.0.0.0",
    ] {
        bed.routes(routes);
        for way in WAYS {
            for command in ["name", "old-name"] {
                let client = caller.to(&bed, way, NAME, &[command]);
                assert_eq!(lines(&client), ["unknown"], "{way:?} {command} {routes:?}");
            }
        }
    }
    bed.routes(crate::fixture::EVERYWHERE);
    for (how, host) in [("numeric", NAME), ("", "")] {
        let client = caller.to(&bed, WAYS[1], host, &["name", how]);
        assert_eq!(lines(&client), ["unknown"], "{how} {host:?}");
    }
    let client = caller
        .to(&bed, WAYS[1], NAME, &["name"])
        .env("SOCKS_VERSION", "4");
    let shown = lines(&client);
    assert_eq!(
        shown.last().unwrap(),
        "echo",
        "version 4 has 4a for names: {shown:?}"
    );
    assert_eq!(stub.asked(), [format!("4a nobody@{NAME}:{ECHO}")]);
}

#[test]
fn a_line_may_be_about_a_name() {
    let (bed, stub, caller) = crossing();
    let other = bed.stub_at(Firewall::GATE, 1081, Conduct::default());
    for line in [
        "outside.example",
        ".example",
        "OUTSIDE.example 255.255.255.255",
    ] {
        let routes = format!("sockd @=10.1.0.1:1081 {line}\nsockd 0.0.0.0 0.0.0.0\n");
        bed.routes(routes);
        for way in WAYS {
            assert_eq!(
                lines(&caller.to(&bed, way, NAME, &["name"]))
                    .last()
                    .unwrap(),
                "echo"
            );
            assert_asked(&other, &format!("5 @{NAME}:{ECHO}"));
            let client = caller.to(&bed, way, "elsewhere.test", &["name"]);
            assert_eq!(lines(&client).last().unwrap(), "echo");
            assert_asked(&stub, &format!("5 @elsewhere.test:{ECHO}"));
        }
    }
    // A name that is known here keeps its line, too.
    bed.routes("sockd @=10.1.0.1:1081 firewall\nsockd 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        assert_eq!(
            lines(&caller.to(&bed, way, "firewall", &["name"]))
                .last()
                .unwrap(),
            "echo"
        );
        assert_asked(&other, &format!("5 @{}:{ECHO}", Firewall::GATE));
    }
}

#[test]
fn a_line_for_a_port_decides_on_a_name_when_the_port_is_known() {
    let (bed, stub, caller) = crossing();
    bed.routes("sockd 0.0.0.0 0.0.0.0 eq 7\ndeny 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        assert_eq!(
            lines(&caller.to(&bed, way, NAME, &["name"]))
                .last()
                .unwrap(),
            "echo"
        );
    }
    bed.routes("sockd 0.0.0.0 0.0.0.0 eq 8\ndeny 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        let shown = lines(&caller.to(&bed, way, NAME, &["name"]));
        assert_eq!(shown.last().unwrap(), "EACCES", "{shown:?}");
    }
    assert_eq!(stub.asked().len(), WAYS.len());
}

/// Two names, in one process and in its child.
const SCRIPT: &str = r#"
import os, socket, sys
first, second = (socket.getaddrinfo(name, 7, type=socket.SOCK_STREAM)[0] for name in sys.argv[1:])
assert first[4] != second[4], "one placeholder for two names"
assert socket.getaddrinfo(sys.argv[1], 7, type=socket.SOCK_STREAM)[0] == first

def talk(info):
    with socket.socket(info[0], info[1]) as peer:
        peer.connect(info[4])
        assert peer.getpeername()[:2] == info[4][:2]
        peer.sendall(b"hello")
        assert peer.recv(5) == b"hello"

if os.fork() == 0:
    talk(second)
    os._exit(0)
assert os.wait()[1] == 0
talk(first)
print(socket.getnameinfo(first[4], socket.NI_NUMERICSERV)[0])
"#;

#[test]
fn each_name_has_its_own_place_and_children_know_them() {
    let (bed, stub, _) = crossing();
    let script = bed.write("two.py", SCRIPT);
    for way in WAYS {
        let client = bed.through(way, &["/usr/bin/python3"]).args([&script]);
        let client = client.args([NAME, "elsewhere.test"]);
        assert_eq!(lines(&client), [NAME], "{way:?}");
        let asked = stub.asked();
        let last = &asked[asked.len() - 2..];
        assert_eq!(last, ["5 @elsewhere.test:7", "5 @outside.example:7"]);
    }
}

#[test]
fn a_name_that_the_server_does_not_know_either_is_the_servers_word() {
    let bed = Bed::new();
    let _danted = Danted::start(&bed.wall).unwrap();
    let caller = Caller::new(Linkage::Dynamic);
    for way in WAYS {
        let client = caller
            .to(&bed, way, "no.such.example", &["name"])
            .env("SOCKS_DEBUG", "1");
        let ended = client.run().unwrap();
        assert_eq!(ended.stdout, "family: 4\nEHOSTUNREACH\n", "{ended}");
        crate::fixture::assert_told(&ended, &["no.such.example:7", "10.1.0.1:1080"]);
    }
}
