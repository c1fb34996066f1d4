//! Real clients of pmcd, and clients that know nothing of it, through a real danted.

use std::time::Duration;

use testbed::{Client, Conduct, Danted, Firewall, Linkage, Pieces, Pmcd, SlowSends, Who, packages};

use crate::fixture::{Bed, Caller, EVERYWHERE, MODES, WAYS, Way, lines};

/// Runs a client in every way, with a pmcd outside and a danted in between.
fn in_every_way(client: impl Fn(&Bed, Way) -> Client, check: impl Fn(&Bed, Way, &str)) {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let danted = Danted::start(&bed.wall).unwrap();
    for (made, way) in WAYS.into_iter().enumerate() {
        let shown = client(&bed, way).run().unwrap();
        check(&bed, way, &shown.succeeded().unwrap());
        assert!(danted.connections() > made, "{way:?}: {}", danted.log());
    }
    danted.await_log(" 10.2.0.2.44321\n").unwrap();
}

#[test]
fn pminfo_shows_a_metric_of_a_host_outside() {
    let words = ["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"];
    in_every_way(
        |bed, way| bed.through(way, &words),
        |_, way, shown| assert!(shown.contains("value \"alpha\""), "{way:?}: {shown}"),
    );
}

/// Alone, it would have the request behind it wait for 40 ms in many a SOCKS server.
#[test]
fn the_profile_of_a_fetch_goes_out_with_the_fetch() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let pieces = Pieces::default();
    let _stub = bed.stub(Conduct {
        relays: true,
        pieces: Some(pieces.clone()),
        ..Conduct::default()
    });
    let slow = SlowSends::make().unwrap();
    let words = ["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"];
    let client = bed.through(MODES[0], &words);
    let shown = client.env("LD_PRELOAD", slow.path()).run().unwrap();
    assert!(shown.succeeded().unwrap().contains("value \"alpha\""));
    let pieces = pieces.all();
    let is_profile = |piece: &&Vec<u8>| piece.get(4..8) == Some(&[0, 0, 0x70, 2]);
    let profile = pieces.iter().find(is_profile);
    let behind = profile.expect("a profile comes first").get(28..);
    let fetch = behind.and_then(|behind| behind.get(4..8));
    assert_eq!(fetch, Some(&[0, 0, 0x70, 0x14][..]), "{pieces:?}");
}

#[test]
fn a_direct_route_leaves_no_trace_in_the_log_of_the_server() {
    let bed = Bed::new();
    let _pmcd = Pmcd::builder("gate").on(bed.wall.gate()).start().unwrap();
    let danted = Danted::start(&bed.wall).unwrap();
    let pminfo = ["pminfo", "-h", Firewall::GATE, "-f", "pmcd.hostname"];
    bed.routes("direct 10.1.0.0 255.255.255.0\nsockd 0.0.0.0 0.0.0.0\n");
    for way in WAYS {
        let shown = bed
            .through(way, &pminfo)
            .run()
            .unwrap()
            .succeeded()
            .unwrap();
        assert!(shown.contains("value \"gate\""), "{way:?}: {shown}");
    }
    assert_eq!(danted.connections(), 0, "{}", danted.log());
    bed.routes(EVERYWHERE);
    let shown = bed
        .through(WAYS[0], &pminfo)
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    assert!(shown.contains("value \"gate\""), "{shown}");
    assert_eq!(danted.connections(), 1, "{}", danted.log());
}

/// libpcp itself waits 5 s, whatever it is told.
#[test]
fn a_firewall_far_away_is_waited_for_as_long_as_pmcd() {
    let bed = Bed::new();
    let _pmcd = bed.pmcd();
    let _stub = bed.stub(Conduct {
        late: Some(Duration::from_secs(6)),
        relays: true,
        ..Conduct::default()
    });
    let running = MODES.map(|way| {
        let client = bed.through(
            way,
            &["pminfo", "-h", Firewall::OUTSIDE, "-f", "pmcd.hostname"],
        );
        client.env("PMCD_CONNECT_TIMEOUT", "20").start().unwrap()
    });
    for client in running {
        let shown = client.finish().unwrap().succeeded().unwrap();
        assert!(shown.contains("value \"alpha\""), "{shown}");
    }
}

#[test]
fn pmval_watches_a_metric_of_a_host_outside() {
    let words = [
        "pmval",
        "-h",
        Firewall::OUTSIDE,
        "-t",
        "50msec",
        "-s",
        "3",
        "hinv.ncpu",
    ];
    in_every_way(
        |bed, way| bed.through(way, &words),
        |_, way, shown| assert!(shown.contains("samples:   3"), "{way:?}: {shown}"),
    );
}

#[test]
fn pmrep_reports_a_metric_of_a_host_outside() {
    let words = [
        "pmrep",
        "-h",
        Firewall::OUTSIDE,
        "-t",
        "50msec",
        "-s",
        "2",
        "pmcd.pid",
    ];
    in_every_way(
        |bed, way| bed.through(way, &words),
        |_, way, shown| {
            let samples = shown
                .lines()
                .filter(|line| line.trim().parse::<u32>().is_ok());
            assert_eq!(samples.count(), 2, "{way:?}: {shown}");
        },
    );
}

#[test]
fn pmlogger_writes_an_archive_of_a_host_outside() {
    let archive = |way: Way| format!("{:?}-{}", way.who, way.mode);
    in_every_way(
        |bed, way| {
            let folder = bed.open_folder(&archive(way));
            let config = bed.write(
                "pmlogger.conf",
                "log mandatory on 50msec { pmcd.hostname }\n",
            );
            let words = ["pmlogger", "-h", Firewall::OUTSIDE, "-s", "2", "-c"];
            let client = bed.through(way, &words).args([config]);
            let log = folder.join("log");
            client
                .args(["-l".as_ref(), log.as_os_str()])
                .args([folder.join("archive")])
        },
        |bed, way, _| {
            let archive = bed.path(&archive(way)).join("archive");
            let shown = Client::new("pminfo")
                .args(["-f", "pmcd.hostname", "-a"])
                .args([archive]);
            let shown = shown.run().unwrap().succeeded().unwrap();
            assert!(shown.contains("value \"alpha\""), "{way:?}: {shown}");
        },
    );
}

#[test]
fn curl_fetches_a_page_from_a_host_outside() {
    packages::require("curl").unwrap();
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let page = "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\noutside";
    let _page = bed
        .wall
        .outside()
        .stub(Firewall::OUTSIDE, 80, |mut wire, _| {
            wire.receive(16)?;
            wire.send(page.as_bytes())
        })
        .unwrap();
    for way in WAYS {
        for url in ["http://10.2.0.2/", "http://outside.example/"] {
            // A name needs the library: what cannot be loaded into resolves by itself.
            if way.mode == "supervise" && url.contains("example") {
                continue;
            }
            let client = bed.through(way, &["curl", "-sS", "--max-time", "20", url]);
            let shown = client.run().unwrap().succeeded().unwrap();
            assert_eq!(shown, "outside", "{way:?} {url}");
        }
    }
    danted.await_log(" 10.2.0.2.80\n").unwrap();
}

/// An event loop with many connections, by address and by a name that only the firewall knows.
const ASYNCIO: &str = r#"
import asyncio, sys

async def talk(host, number):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, 7), 20)
    words = f"number {number}\n".encode()
    writer.write(words)
    await writer.drain()
    good = await asyncio.wait_for(reader.readline(), 20) == words
    writer.close()
    await writer.wait_closed()
    return good

async def main():
    hosts = sys.argv[1:]
    talks = [talk(hosts[n % len(hosts)], n) for n in range(20)]
    print(sum(await asyncio.gather(*talks)))

asyncio.run(main())
"#;

#[test]
fn an_event_loop_of_python_has_many_connections_at_once() {
    packages::require("python3").unwrap();
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _echoes = [bed.echo(), bed.echo_at(Firewall::OUTSIDE6, 7)];
    let script = bed.write("loop.py", ASYNCIO);
    for way in WAYS {
        let client = bed.through(way, &["/usr/bin/python3"]).args([&script]);
        let client = client.args([Firewall::OUTSIDE, Firewall::OUTSIDE6]);
        let client = match way.mode {
            "preload" => client.args([Firewall::OUTSIDE_NAME]),
            _ => client,
        };
        assert_eq!(lines(&client), ["20"], "{way:?}");
    }
    danted.await_log(" fd02::2.7\n").unwrap();
}

#[test]
fn fifty_threads_connect_at_the_same_time() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _echo = bed.echo();
    let caller = Caller::new(Linkage::Dynamic);
    for way in WAYS {
        let client = caller.echo(&bed, way, &["threads", "50"]);
        assert_eq!(lines(&client), ["50 of 50"], "{way:?}");
    }
    assert_eq!(danted.connections(), 200, "{}", danted.log());
}

#[test]
fn static_and_raw_programs_need_no_option() {
    let bed = Bed::new();
    let danted = Danted::start(&bed.wall).unwrap();
    let _echo = bed.echo();
    let mut made = 0;
    for linkage in [Linkage::Dynamic, Linkage::Static, Linkage::Raw] {
        let caller = Caller::new(linkage);
        let program = caller.path();
        let program = program.to_str().unwrap();
        for who in Who::BOTH {
            for (command, more, wanted) in [
                ("connect", "", vec!["connected", "peer: the target", "echo"]),
                ("threads", "50", vec!["50 of 50"]),
                ("loop", "20", vec!["20 of 20"]),
                (
                    "fork",
                    "",
                    vec![
                        "connect: connected",
                        "child: good",
                        "peer: the target",
                        "echo",
                    ],
                ),
            ] {
                let client = bed.pmsocks(who, &[program, command, Firewall::OUTSIDE, "7", more]);
                assert_eq!(lines(&client), wanted, "{linkage:?} {who:?} {command}");
            }
            made += 1 + 50 + 20 + 2;
        }
    }
    assert_eq!(danted.connections(), made, "{}", danted.log());
}
