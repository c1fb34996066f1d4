//! Every version of SOCKS, with passwords and over IPv6: a real client gets to a pmcd outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use testbed::{Client, Conduct, Danted, Firewall, Microsocks, Who};

use crate::fixture::{Bed, WAYS, Way, assert_told};

const NOBODY: u32 = 65534;

fn pminfo(bed: &Bed, way: Way, host: &str) -> Client {
    bed.through(way, &["pminfo", "-h", host, "-f", "pmcd.hostname"])
}

fn assert_alpha(client: &Client) {
    let shown = client.run().unwrap().succeeded().unwrap();
    assert!(
        shown.contains("value \"alpha\""),
        "`{client}` showed {shown}"
    );
}

/// What a host outside is called where a name can be used, and where not.
fn hosts(way: Way) -> &'static [&'static str] {
    match way.mode {
        "preload" => &[Firewall::OUTSIDE, Firewall::OUTSIDE_NAME],
        _ => &[Firewall::OUTSIDE],
    }
}

#[test]
fn socks_4_is_spoken_with_a_server_that_has_nothing_else() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let danted = Danted::builder().only("socks_v4").start(&bed.wall).unwrap();
    for way in WAYS {
        assert_alpha(&pminfo(&bed, way, Firewall::OUTSIDE).env("SOCKS_VERSION", "4"));
    }
    assert_eq!(danted.connections(), WAYS.len(), "{}", danted.log());
}

#[test]
fn socks_4a_leaves_names_to_the_server() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let stub = bed.stub(Conduct {
        versions: vec!["4a"],
        relays: true,
        ..Conduct::default()
    });
    let mut wanted = Vec::new();
    for way in WAYS {
        let user = if way.who == Who::Root {
            "root"
        } else {
            "nobody"
        };
        for host in hosts(way) {
            assert_alpha(&pminfo(&bed, way, host).env("SOCKS_VERSION", "4a"));
            let version = if *host == Firewall::OUTSIDE {
                "4"
            } else {
                "4a"
            };
            wanted.push(format!("{version} {user}@{host}:44321"));
        }
    }
    assert_eq!(stub.asked(), wanted);
}

#[test]
fn socks_5_is_spoken_with_addresses_and_names() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let danted = Danted::builder().only("socks_v5").start(&bed.wall).unwrap();
    for way in WAYS {
        for host in hosts(way) {
            assert_alpha(&pminfo(&bed, way, host).env("SOCKS_VERSION", "5"));
        }
    }
    assert_eq!(danted.connections(), 6, "{}", danted.log());
}

#[test]
fn version_4_is_tried_when_nobody_answers_to_5() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let stub = bed.stub(Conduct {
        versions: vec!["4", "4a"],
        relays: true,
        ..Conduct::default()
    });
    for way in WAYS {
        for host in hosts(way) {
            assert_alpha(&pminfo(&bed, way, host));
        }
    }
    let asked = stub.asked();
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(
        asked.iter().all(|asked| asked.starts_with('4')),
        "{asked:?}"
    );
}

#[test]
fn the_server_can_have_another_port_and_a_name() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let danted = Danted::builder().port(1081).start(&bed.wall).unwrap();
    for way in WAYS {
        for (server, port) in [
            ("firewall", "1081"),
            ("firewall:1081", "1"),
            ("10.1.0.1:1081", "1"),
            ("[fd01::1]:1081", "1"),
        ] {
            let client = pminfo(&bed, way, Firewall::OUTSIDE);
            assert_alpha(&client.env("SOCKS_SERVER", server).env("SOCKS_PORT", port));
        }
    }
    assert_eq!(danted.connections(), 16, "{}", danted.log());
}

#[test]
fn ipv6_goes_to_the_target_and_to_the_server() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let danted = Danted::start(&bed.wall).unwrap();
    for way in WAYS {
        for server in [Firewall::GATE, "fd01::1", "[fd01::1]:1080", "firewall6"] {
            for target in [Firewall::OUTSIDE, "[fd02::2]"] {
                let client = pminfo(&bed, way, target);
                assert_alpha(&client.env("SOCKS_SERVER", server));
            }
        }
        if way.mode == "preload" {
            assert_alpha(&pminfo(&bed, way, Firewall::OUTSIDE_NAME6));
        }
    }
    danted.await_log(" fd02::2.44321\n").unwrap();
    danted.await_log(" 10.2.0.2.44321\n").unwrap();
}

/// A file with a password, which only this user may read.
fn credentials(bed: &Bed, who: Who, text: &str) -> PathBuf {
    let path = bed.write(&format!("credentials-{who:?}"), text);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    if who == Who::Nobody {
        chown(&path, Some(NOBODY), None).unwrap();
    }
    path
}

#[test]
fn a_password_comes_from_the_environment_or_a_file() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    bed.wall.gate().add_user("alice", "s3cret").unwrap();
    let danted = Danted::builder().password().start(&bed.wall).unwrap();
    let server =
        Microsocks::with_password(&bed.wall, Firewall::GATE, 1081, "alice", "s3cret").unwrap();
    for way in WAYS {
        let file = credentials(&bed, way.who, "# for tests\nalice:s3cret\n");
        for port in ["1080", "1081"] {
            let client = pminfo(&bed, way, Firewall::OUTSIDE).env("SOCKS_PORT", port);
            assert_alpha(
                &client
                    .env("SOCKS_USER", "alice")
                    .env("SOCKS_PASSWORD", "s3cret"),
            );
            bed.routes(format!(
                "sockd @=10.1.0.1:{port};credentials={} 0.0.0.0 0.0.0.0\n",
                file.display()
            ));
            assert_alpha(&pminfo(&bed, way, Firewall::OUTSIDE).env("SOCKS_SERVER", "10.1.0.9"));
            bed.routes(crate::fixture::EVERYWHERE);
        }
    }
    assert_eq!(danted.connections(), 8, "{}", danted.log());
    server.await_log("connected to 10.2.0.2:44321").unwrap();
}

#[test]
fn a_wrong_password_is_told_from_everything_else() {
    let bed = Bed::new();
    bed.wall.gate().add_user("alice", "s3cret").unwrap();
    let _danted = Danted::builder().password().start(&bed.wall).unwrap();
    let _server =
        Microsocks::with_password(&bed.wall, Firewall::GATE, 1081, "alice", "s3cret").unwrap();
    for way in WAYS {
        for port in ["1080", "1081"] {
            let server = format!("SOCKS server 10.1.0.1:{port}");
            let client = pminfo(&bed, way, Firewall::OUTSIDE)
                .env("SOCKS_PORT", port)
                .env("SOCKS_DEBUG", "1");
            let refused = client.run().unwrap();
            assert_told(&refused, &[&server]);
            assert!(
                refused.stderr.contains("Cannot connect to PMCD"),
                "{refused}"
            );
            let client = client
                .env("SOCKS_USER", "alice")
                .env("SOCKS_PASSWORD", "gu3ss");
            let refused = client.run().unwrap();
            assert_told(&refused, &[&server, "refused user name and password"]);
            assert!(
                refused.stderr.contains("Cannot connect to PMCD"),
                "{refused}"
            );
            assert!(!refused.stderr.contains("gu3ss"), "{refused}");
        }
    }
}

#[test]
fn a_file_of_a_password_that_others_can_read_is_not_used() {
    let bed = Bed::new();
    let stub = bed.stub(Conduct::default());
    let file = bed.write("credentials", "alice:s3cret\n");
    bed.routes(format!(
        "sockd @=10.1.0.1;credentials={} 0.0.0.0 0.0.0.0\n",
        file.display()
    ));
    for way in WAYS {
        let client = pminfo(&bed, way, Firewall::OUTSIDE).env("SOCKS_DEBUG", "1");
        let refused = client.run().unwrap();
        assert_told(&refused, &[file.to_str().unwrap(), "0600"]);
        assert!(
            refused.stderr.contains("Cannot connect to PMCD"),
            "{refused}"
        );
    }
    assert!(stub.asked().is_empty(), "{:?}", stub.asked());
}
