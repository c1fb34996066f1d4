//! The library without `pmsocks`, for those who set `LD_PRELOAD` themselves.

use testbed::{Client, Conduct, Danted, Firewall, Linkage, Who};

use crate::fixture::{Bed, Caller, ECHO, assert_told};

fn connect(bed: &Bed, caller: &Caller, host: &str, port: &str) -> Client {
    let path = caller.path();
    let words = [path.to_str().unwrap(), "connect", host, port];
    bed.with_library_alone(Who::Nobody, &words)
}

#[test]
fn it_serves_a_program_and_what_that_runs() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _pmcd = bed.pmcd();
    let script = "pminfo -h 10.2.0.2 -f pmcd.hostname";
    let pminfo: Vec<&str> = script.split(' ').collect();
    for who in Who::BOTH {
        for words in [&pminfo[..], &["sh", "-c", script]] {
            let shown = bed.with_library_alone(who, words).run().unwrap();
            let shown = shown.succeeded().unwrap();
            assert!(shown.contains("value \"alpha\""), "{who:?}: {shown}");
        }
    }
    assert_eq!(danted.connections(), 4, "{}", danted.log());
}

#[test]
fn a_static_program_that_is_run_by_a_preloaded_one_is_supervised() {
    let bed = Bed::new();
    let (_echo, stub) = (bed.echo(), bed.stub(Conduct::default()));
    let caller = Caller::new(Linkage::Static);
    let outside = Firewall::OUTSIDE;
    let script = format!("{} connect {outside} 7", caller.path().display());
    let client = bed.with_library_alone(Who::Nobody, &["sh", "-c", &script]);
    let shown = client.run().unwrap().succeeded().unwrap();
    assert!(shown.contains("connected"), "{shown}");
    assert_eq!(stub.asked().len(), 1);
}

/// It cannot keep a program from beginning that did not ask for that.
#[test]
fn with_a_wrong_configuration_nothing_is_connected() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    bed.routes("direct 10.1.0.0/24\n");
    let caller = Caller::new(Linkage::Dynamic);
    let client = connect(&bed, &caller, Firewall::GATE, "1080");
    let direct = client.clone().run().unwrap();
    assert!(direct.stdout.starts_with("connected"), "{direct}");
    for (name, value) in [("PCP_SOCKS_CONF", "/no/such/file"), ("SOCKS_PORT", "http")] {
        let refused = client.clone().env(name, value).run().unwrap();
        assert!(refused.stdout.starts_with("EACCES"), "{refused}");
        assert_told(&refused, &[value, "connections are refused"]);
    }
    assert_eq!(danted.connections(), 0, "{}", danted.log());
}

#[test]
fn servers_are_not_looked_up_elsewhere_than_wanted() {
    let bed = Bed::new();
    let (_echo, stub) = (bed.echo(), bed.stub(Conduct::default()));
    let caller = Caller::new(Linkage::Dynamic);
    let client = connect(&bed, &caller, Firewall::OUTSIDE, ECHO);
    let client = client
        .env("SOCKS_NS", Firewall::GATE)
        .env("SOCKS_DEBUG", "1");
    let refused = client
        .clone()
        .env("SOCKS_SERVER", "firewall")
        .run()
        .unwrap();
    assert!(refused.stdout.starts_with("EHOSTUNREACH"), "{refused}");
    assert_told(&refused, &["firewall", "SOCKS_NS"]);
    assert_eq!(stub.asked().len(), 0);
    let shown = client.run().unwrap().succeeded().unwrap();
    assert!(shown.starts_with("connected"), "{shown}");
}
