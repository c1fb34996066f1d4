//! The clients of Debian's PCP, through the proxy and beside it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pcp_proto::PMPROXY_PORT;
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO};
use testbed::{Client, PATIENCE, Pmcd, Scratch, Stub, eventually};

use crate::house::{House, literal, loopbacks, name_of_pmcd, pdu, pminfo, pmproxy, through};

/// Branches of the name space whose instances do not come and go: some six hundred metrics.
///
/// Memory's zones, slabs and buddies are left out: a zone may be without a value in one fetch and
/// have one in the next, a slab cache goes with the last network namespace that used it.
const BRANCHES: [&str; 16] = [
    "hinv",
    "kernel.all",
    "kernel.percpu.cpu",
    "kernel.uname",
    "mem.freemem",
    "mem.ksm",
    "mem.numa",
    "mem.physmem",
    "mem.util",
    "mem.vmstat",
    "network.icmp",
    "network.ip",
    "network.tcp",
    "swap",
    "vfs",
    "pmcd.hostname",
];

/// Descriptor, value, identifier, both help texts and labels of each metric.
fn pminfo_everything(host: &str, branches: &[&str]) -> Client {
    Client::new("pminfo")
        .args(["-h", host, "-dfmtTl"])
        .args(branches)
        .within(Duration::from_secs(120))
}

/// The output of pminfo without numbers that move between two fetches: strings and the instances
/// stay.
fn without_numbers(shown: &str) -> String {
    let mut masked = String::with_capacity(shown.len());
    for line in shown.lines() {
        match line.split_once("value ") {
            Some((before, value)) if line.starts_with("    ") && !value.starts_with('"') => {
                masked.push_str(before);
                masked.push_str("value N");
            }
            _ => masked.push_str(line),
        }
        masked.push('\n');
    }
    masked
}

#[test]
fn pminfo_shows_the_same_as_without_the_proxy() {
    let house = House::open().unwrap();
    let show = |host: &str| {
        pminfo_everything(host, &BRANCHES)
            .run()
            .unwrap()
            .succeeded()
            .unwrap()
    };
    let direct = show(&format!("localhost:{}", house.pmcd.port()));
    let proxied = show(&through(&house.proxy, house.pmcd.port()));
    let described = proxied.matches("Data Type:").count();
    assert!(described >= 500, "only {described} metrics");
    for expected in ["labels {", "Help:\n", "value \"alpha\"", "PMID: 60."] {
        assert!(proxied.contains(expected), "no {expected} in {proxied}");
    }
    assert_same_lines(&without_numbers(&direct), &without_numbers(&proxied));
}

/// Shows the first line that differs instead of all thousands.
fn assert_same_lines(direct: &str, proxied: &str) {
    for (number, (one, other)) in direct.lines().zip(proxied.lines()).enumerate() {
        assert_eq!(one, other, "line {}", number + 1);
    }
    assert_eq!(direct.lines().count(), proxied.lines().count());
}

#[test]
fn fifty_clients_at_once_are_all_served() {
    let house = House::open().unwrap();
    let host = through(&house.proxy, house.pmcd.port());
    let client = pminfo_everything(&host, &BRANCHES[..10]);
    let alone = without_numbers(&client.run().unwrap().succeeded().unwrap());
    let running: Vec<_> = (0..50).map(|_| client.start().unwrap()).collect();
    for client in running {
        let shown = client.finish().unwrap().succeeded().unwrap();
        assert_same_lines(&alone, &without_numbers(&shown));
    }
    house.is_in_order().unwrap();
}

#[test]
fn pmprobe_and_pmval_and_pmrep_and_pmstat_show_values() {
    let house = House::open().unwrap();
    let host = through(&house.proxy, house.pmcd.port());
    let run = |program: &str, args: &[&str]| {
        // pmrep is a Python program: it is to be run by Debian's Python, which has PCP's module.
        let client = Client::new(program)
            .args(["-h", &host])
            .args(args)
            .env("PCP_PYTHON_PROG", "/usr/bin/python3");
        client.run().unwrap().succeeded().unwrap()
    };
    let probed = run(
        "pmprobe",
        &["-v", "pmcd.hostname", "no.such.metric", "hinv.ncpu"],
    );
    assert!(probed.contains("pmcd.hostname 1 \"alpha\"\n"), "{probed}");
    assert!(probed.contains("hinv.ncpu 1 "), "{probed}");

    let sampled = run("pmval", &["-s", "3", "-t", "0.05", "hinv.ncpu"]);
    assert!(sampled.contains("host:      alpha"), "{sampled}");
    let numbers = |line: &str| line.trim().parse::<u64>().is_ok();
    assert_eq!(
        sampled.lines().filter(|line| numbers(line)).count(),
        3,
        "{sampled}"
    );

    let reported = run(
        "pmrep",
        &["-s", "3", "-t", "0.05", "pmcd.hostname", "hinv.ncpu"],
    );
    assert_eq!(reported.matches("alpha").count(), 3, "{reported}");

    let stat = run("pmstat", &["-s", "2", "-t", "0.05"]);
    assert!(stat.contains("loadavg"), "{stat}");
    assert_eq!(stat.lines().count(), 5, "{stat}");
}

#[test]
fn pmlogger_records_what_can_be_read_back() {
    let house = House::open().unwrap();
    let folder = Scratch::new().unwrap();
    let metrics = "log mandatory on 50 msec { hinv.ncpu\nkernel.all.load\npmcd.hostname }\n";
    let config = folder.write("config", metrics).unwrap();
    let archive = folder.join("archive");
    let logger = Client::new("pmlogger")
        .args(["-h", &through(&house.proxy, house.pmcd.port()), "-s", "4"])
        .args(["-c".as_ref(), config.as_os_str()])
        .args(["-l".as_ref(), folder.join("log").as_os_str()])
        .args([&archive]);
    logger.run().unwrap().succeeded().unwrap();

    let read = |program: &str, option: &str, args: &[&str]| {
        let client = Client::new(program).args([option.as_ref(), archive.as_os_str()]);
        client.args(args).run().unwrap().succeeded().unwrap()
    };
    let shown = read("pminfo", "-a", &["-f", "pmcd.hostname", "kernel.all.load"]);
    assert!(
        shown.contains("value \"alpha\"") && shown.contains("\"15 minute\"] value "),
        "{shown}"
    );
    // Every sample of the archive, as it was recorded.
    let samples = read("pmval", "-U", &["hinv.ncpu"]);
    assert!(samples.contains("host:      alpha"), "{samples}");
    let recorded = samples
        .lines()
        .filter(|line| line.contains(':') && line.ends_with(|c: char| c.is_ascii_digit()));
    assert!(recorded.count() >= 4, "{samples}");
}

#[test]
fn a_rule_of_pmie_fires() {
    let house = House::open().unwrap();
    let folder = Scratch::new().unwrap();
    let rule = "delta = 50 msec;\nsome_inst hinv.ncpu > 0 -> print \"fired on %h\";\n";
    let rule = folder.write("rule", rule).unwrap();
    let pmie = Client::new("pmie")
        .args(["-h", &through(&house.proxy, house.pmcd.port()), "-c"])
        .args([rule])
        .start()
        .unwrap();
    eventually(PATIENCE, "the rule to fire", || {
        pmie.stdout().contains("fired on alpha")
    })
    .unwrap();
    pmie.terminate().unwrap();
    house.is_in_order().unwrap();
}

#[test]
fn every_form_of_naming_proxy_and_pmcd_leads_to_the_right_one() {
    let (alpha, beta) = (Pmcd::start("alpha").unwrap(), Pmcd::start("beta").unwrap());
    let proxy = pmproxy().start().unwrap();
    let (name, port) = ("localhost", proxy.port());
    for (wanted, pmcd) in [("alpha", alpha.port()), ("beta", beta.port())] {
        let leads = |client: Client| {
            assert_eq!(name_of_pmcd(&client).unwrap(), wanted, "{client}");
        };
        leads(pminfo(&format!("{name}:{pmcd}@{name}:{port}")));
        for via in loopbacks() {
            for to in loopbacks() {
                leads(pminfo(&format!(
                    "{}:{pmcd}@{}:{port}",
                    literal(to),
                    literal(via)
                )));
            }
        }
        let by_environment = |client: Client| {
            let client = client.env("PMPROXY_HOST", name);
            client.env("PMPROXY_PORT", port.to_string())
        };
        let usual = pmcd.to_string();
        leads(pminfo(&format!("{name}@{name}:{port}")).env("PMCD_PORT", &usual));
        leads(by_environment(pminfo(&format!("{name}:{pmcd}"))));
        leads(by_environment(pminfo(name).env("PMCD_PORT", &usual)));
    }
}

/// Clients cannot be told another port for a proxy that is named without one, so this proxy has the
/// usual port, on an address of the loopback network that nobody else has heard of.
#[test]
fn hosts_alone_are_enough_with_the_usual_ports() {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 64 | high, middle, low);
    // Another test may have it on all addresses for a moment; a pmproxy that stays is in the way.
    let free = format!("port {PMPROXY_PORT} to be free: stop the pmproxy that has it");
    let is_free = || TcpListener::bind((address, PMPROXY_PORT)).is_ok();
    eventually(PATIENCE, free, is_free).unwrap();
    let (pmcd, folder) = (Pmcd::start("alpha").unwrap(), Scratch::new().unwrap());
    let config = folder.write("config", "").unwrap();
    let mut proxy = Client::new(env!("CARGO_BIN_EXE_pmproxy"))
        .args(["-f", "-A", "-i", &address.to_string()])
        .args(["-c".as_ref(), config.as_os_str()])
        .args(["-s".as_ref(), folder.join("socket").as_os_str()])
        .args(["-l".as_ref(), folder.join("log").as_os_str()])
        .env("PMPROXY_ADMIN_SOCKET", folder.join("admin"))
        .env("PCP_TMP_DIR", folder.path())
        .start()
        .unwrap();
    eventually(PATIENCE, "the proxy to listen", || {
        assert_eq!(proxy.process().ended().unwrap(), None, "{}", proxy.stderr());
        TcpStream::connect((address, PMPROXY_PORT)).is_ok()
    })
    .unwrap();
    let client = pminfo(&format!("localhost@{address}")).env("PMCD_PORT", pmcd.port().to_string());
    assert_eq!(name_of_pmcd(&client).unwrap(), "alpha");
}

#[test]
fn the_unix_socket_leads_to_a_pmcd_as_well() {
    let proxy = pmproxy().start().unwrap();
    let stub = Stub::echo().unwrap();
    let mut stream = UnixStream::connect(proxy.folder().join("pmproxy.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(CLIENT_HELLO).unwrap();
    writeln!(stream, "127.0.0.1 {}", stub.port()).unwrap();
    let asked: Vec<u8> = (0..100).flat_map(|fill| pdu(50_000, fill)).collect();
    let answered = std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&asked).unwrap());
        let mut answered = vec![0; SERVER_HELLO.len() + 20 + asked.len()];
        (&stream).read_exact(&mut answered).unwrap();
        answered
    });
    assert!(answered.starts_with(SERVER_HELLO));
    assert!(answered[SERVER_HELLO.len() + 20..] == asked);
    drop(stream);
    stub.await_open(0).unwrap();
}
