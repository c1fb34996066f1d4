//! `SOCKS_NS`: a name server that knows where the SOCKS servers are.

use testbed::{Conduct, Firewall, Linkage, NameServer};

use crate::fixture::{Bed, Caller, MODES, WAYS, assert_told, lines};

const NAMES: [(&str, &str); 3] = [
    ("socks.example", Firewall::GATE),
    ("socks6.example", Firewall::GATE6),
    ("socks.inside.example", Firewall::GATE),
];

#[test]
fn it_is_asked_for_servers_and_for_nothing_else() {
    let bed = Bed::new();
    let stubs = [
        bed.stub(Conduct::default()),
        bed.stub_at(Firewall::GATE6, 1080, Conduct::default()),
    ];
    let caller = Caller::new(Linkage::Dynamic);
    let server = NameServer::start(bed.wall.gate(), Firewall::GATE, &NAMES).unwrap();
    bed.wall
        .inside()
        .write("/etc/resolv.conf", "search inside.example\n")
        .unwrap();
    for way in WAYS {
        for socks in ["socks.example", "socks6.example", "socks"] {
            for name_server in ["10.1.0.1", "firewall", "10.1.0.1:53"] {
                let client = caller
                    .echo(&bed, way, &["connect"])
                    .env("SOCKS_NS", name_server);
                let shown = lines(&client.env("SOCKS_SERVER", socks));
                assert_eq!(
                    shown,
                    ["connected", "peer: the target", "echo"],
                    "{way:?} {socks}"
                );
            }
        }
        bed.routes("sockd @=socks6.example,socks.example 0.0.0.0 0.0.0.0\n");
        let client = caller
            .echo(&bed, way, &["connect"])
            .env("SOCKS_NS", Firewall::GATE);
        assert_eq!(
            lines(&client.env("SOCKS_SERVER", "")).last().unwrap(),
            "echo",
            "{way:?}"
        );
        bed.routes(crate::fixture::EVERYWHERE);
    }
    let asked = server.asked();
    assert!(
        asked.contains(&"socks.inside.example".to_owned()),
        "{asked:?}"
    );
    assert!(
        asked.iter().all(|name| name.starts_with("socks")),
        "{asked:?}"
    );
    assert_eq!(
        stubs.iter().map(|stub| stub.asked().len()).sum::<usize>(),
        40
    );
}

#[test]
fn names_of_targets_are_not_its_business() {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    let caller = Caller::new(Linkage::Dynamic);
    let names = [
        ("socks.example", Firewall::GATE),
        (Firewall::OUTSIDE_NAME, "10.9.9.9"),
    ];
    let _server = NameServer::start(bed.wall.gate(), Firewall::GATE, &names).unwrap();
    let client = caller.to(&bed, WAYS[1], Firewall::OUTSIDE_NAME, &["name"]);
    let client = client
        .env("SOCKS_NS", Firewall::GATE)
        .env("SOCKS_SERVER", "socks.example");
    assert_eq!(lines(&client).last().unwrap(), "echo");
    assert_eq!(stub.asked(), ["5 @outside.example:7"]);
}

#[test]
fn a_name_that_it_does_not_know_is_told_with_its_address() {
    let bed = Bed::new();
    let _server = NameServer::start(bed.wall.gate(), Firewall::GATE, &NAMES).unwrap();
    for way in MODES {
        let client = bed.through(way, &["true"]).env("SOCKS_NS", Firewall::GATE);
        let ended = client.env("SOCKS_SERVER", "no.such.example").run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert_told(&ended, &["no.such.example", "10.1.0.1:53"]);
    }
}

#[test]
fn a_name_server_that_is_not_there_is_named() {
    let bed = Bed::new();
    for way in MODES {
        let client = bed
            .through(way, &["true"])
            .env("SOCKS_SERVER", "socks.example");
        let ended = client
            .clone()
            .env("SOCKS_NS", Firewall::GATE)
            .run()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert_told(&ended, &["socks.example", "10.1.0.1:53"]);
        let ended = client.env("SOCKS_NS", "no.such.example").run().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        assert_told(&ended, &["SOCKS_NS", "no.such.example"]);
    }
}

#[test]
fn an_address_needs_no_name_server() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let caller = Caller::new(Linkage::Dynamic);
    for way in MODES {
        let client = caller
            .echo(&bed, way, &["connect"])
            .env("SOCKS_NS", "10.1.0.99");
        assert_eq!(lines(&client).last().unwrap(), "echo", "{way:?}");
    }
}
