//! Advertising with a real Avahi on a real system bus, and without, on a network of namespaces.

#![forbid(unsafe_code)]

mod advertiser;
mod lan;

use advertiser::Advertiser;
use anyhow::{Context, Result};
use lan::{Found, Host, lan};
use nix::sys::signal::Signal;
use testbed::{PATIENCE, eventually, eventually_some};

const NAME: &str = "PCP pmproxy on alpha";

/// pmfind probes its hosts at the port where pmproxy usually listens.
const PORT: u16 = 44322;

/// Debian's libpcp is built without Avahi; this script of the package tells its pmfind where to probe.
const DISCOVERY: &str = include_str!("../../../../dist/discover/pcp-dns-sd");

/// Where pmfind looks for such scripts.
const SCRIPTS: &str = "/usr/lib/pcp/bin/discover";

/// Alpha's service with the name of the host in its records: Avahi's own or our responder's.
fn alpha(host: &str) -> Vec<Found> {
    vec![Found {
        name: NAME.into(),
        host: host.into(),
        address: "10.77.0.1".into(),
        port: PORT,
        txt: String::new(),
    }]
}

const BY_AVAHI: &str = "alpha.local";
const BY_RESPONDER: &str = "alpha-pmproxy.local";

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| &*found.name).collect()
}

fn await_log(advertiser: &Advertiser, text: &str, times: usize) -> Result<()> {
    let what = format!("{times} times «{text}» in the log");
    let waited = eventually(PATIENCE, what, || {
        advertiser.log().matches(text).count() >= times
    });
    waited.map_err(|error| error.context(advertiser.log()))
}

/// Installs the script on the host, and waits until pmfind, asked for nothing but pmproxies, finds it.
fn await_pmfind(host: &mut Host) -> Result<()> {
    let script = host.write("pcp-dns-sd", DISCOVERY.as_bytes())?;
    host.sh(&format!(
        "mount -t tmpfs tmpfs {SCRIPTS} && install -m 755 {} {SCRIPTS}",
        script.display()
    ))?;
    let finder = host.program(&["pmfind", "-s", "pmproxy"]);
    let mut last = String::new();
    let waited = eventually(PATIENCE, "pmfind to find it", || {
        last = finder
            .run()
            .map_or_else(|error| format!("{error:#}"), |done| done.stdout);
        last.contains("proxy://10.77.0.1:44322")
    });
    waited.with_context(|| format!("pmfind printed at last: {last}"))
}

#[test]
fn with_avahi_it_is_found_until_it_ends() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_alpha_bus, _beta_bus) = (alpha_host.start_bus()?, beta_host.start_bus()?);
    let _avahis = (alpha_host.start_avahi("")?, beta_host.start_avahi("")?);
    let advertiser = alpha_host.advertise("alpha", PORT, &[])?;

    for host in [&mut alpha_host, &mut beta_host] {
        host.await_finds("both to find it", |found| found == alpha(BY_AVAHI))?;
        await_pmfind(host)?;
    }
    assert!(advertiser.terminate()?);
    for host in [&mut alpha_host, &mut beta_host] {
        host.await_finds("both to lose it", <[_]>::is_empty)?;
    }
    Ok(())
}

#[test]
fn with_avahi_it_is_withdrawn_even_when_it_is_killed() -> Result<()> {
    let (mut host, _neighbour) = lan()?;
    let (_bus, _avahi) = (host.start_bus()?, host.start_avahi("")?);
    let mut advertiser = host.advertise("alpha", PORT, &[])?;
    host.await_finds("it", |found| found == alpha(BY_AVAHI))?;
    advertiser.process().signal(Signal::SIGKILL)?;
    host.await_finds("it to be lost", <[_]>::is_empty)
}

#[test]
fn without_avahi_another_host_finds_it_until_it_ends() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let advertiser = alpha_host.advertise("alpha", PORT, &[])?;

    beta_host.await_finds("it", |found| found == alpha(BY_RESPONDER))?;
    await_pmfind(&mut beta_host)?;
    assert!(advertiser.terminate()?);
    beta_host.await_finds("it to be lost", <[_]>::is_empty)
}

#[test]
fn avahi_is_used_as_soon_as_it_starts_and_again_after_a_restart() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_beta_bus, _beta_avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let _bus = alpha_host.start_bus()?;
    let advertiser = alpha_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("the responder", |found| found == alpha(BY_RESPONDER))?;

    let mut avahi = alpha_host.start_avahi("")?;
    for start in 1..=2 {
        await_log(&advertiser, "Avahi advertises", start)?;
        for host in [&mut alpha_host, &mut beta_host] {
            host.await_finds("Avahi", |found| found == alpha(BY_AVAHI))?;
        }
        if start == 1 {
            avahi.terminate()?;
            avahi = alpha_host.start_avahi("")?;
        }
    }
    Ok(())
}

#[test]
fn the_responder_takes_over_when_avahi_or_the_bus_goes() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_beta_bus, _beta_avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let bus = alpha_host.start_bus()?;
    let avahi = alpha_host.start_avahi("")?;
    let advertiser = alpha_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("Avahi", |found| found == alpha(BY_AVAHI))?;
    avahi.terminate()?;
    beta_host.await_finds("the responder", |found| found == alpha(BY_RESPONDER))?;

    let _avahi = alpha_host.start_avahi("")?;
    await_log(&advertiser, "Avahi advertises", 2)?;
    bus.terminate()?;
    await_log(&advertiser, "advertised without it", 2)?;
    beta_host.await_finds("the responder", |found| found == alpha(BY_RESPONDER))?;

    let _bus = alpha_host.start_bus()?;
    let _avahi = alpha_host.start_avahi("")?;
    await_log(&advertiser, "Avahi advertises", 3)?;
    beta_host.await_finds("Avahi", |found| found == alpha(BY_AVAHI))
}

#[test]
fn a_name_that_is_taken_gets_a_number() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let first = beta_host.advertise("alpha", PORT, &[])?;
    await_log(&first, &format!("Avahi advertises {NAME} "), 1)?;

    let _same_host = beta_host.advertise("alpha", 44400, &[])?;
    beta_host.await_finds("the name with a number", |found| {
        names(found) == [NAME, "PCP pmproxy on alpha #2"]
    })?;
    let _other_host = alpha_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("the responder's name with a number", |found| {
        names(found) == [NAME, "PCP pmproxy on alpha #2", "PCP pmproxy on alpha (2)"]
    })
}

#[test]
fn a_name_that_a_responder_has_is_left_to_it_by_avahi() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let _other_host = alpha_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("the responder", |found| found == alpha(BY_RESPONDER))?;
    let _advertiser = beta_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("the name with a number", |found| {
        names(found) == [NAME, "PCP pmproxy on alpha #2"]
    })
}

#[test]
fn only_the_addresses_where_it_listens_are_advertised() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    alpha_host.sh("ip addr add 10.77.0.3/24 dev eth0")?;
    let _advertiser =
        alpha_host.advertise("alpha", PORT, &["-i", "10.77.0.3", "-i", "127.0.0.1"])?;
    beta_host.await_finds(
        "the one address",
        |found| matches!(found, [Found { address, .. }] if address == "10.77.0.3"),
    )?;

    // Avahi advertises by interface, and would take loopback along.
    let advertiser = beta_host.advertise("elsewhere", 44400, &["-i", "10.77.0.2"])?;
    await_log(&advertiser, "Avahi advertises PCP pmproxy on elsewhere", 1)?;
    let mut look = || beta_host.sh("avahi-browse -rtp _pmproxy._tcp | grep '^=.*elsewhere'");
    let found = eventually_some(PATIENCE, "the advertisement", || look().ok())?;
    assert!(found.contains("=;eth0;"), "{found}");
    assert!(!found.contains("=;lo;"), "{found}");
    Ok(())
}

#[test]
fn who_is_told_not_to_or_serves_this_machine_only_is_not_advertised() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let _told = beta_host.advertise("told", 44400, &["-A"])?;
    let _local = beta_host.advertise("local", 44401, &["-i", "INADDR_LOOPBACK"])?;
    let _advertised = beta_host.advertise("alpha", PORT, &[])?;
    let _other_host = alpha_host.advertise("last", 44402, &[])?;
    beta_host.await_finds("the others only", |found| {
        names(found) == [NAME, "PCP pmproxy on last"]
    })
}

#[test]
fn an_avahi_that_refuses_is_complained_of_once_and_not_evaded() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_alpha_bus, _beta_bus) = (alpha_host.start_bus()?, beta_host.start_bus()?);
    let _beta_avahi = beta_host.start_avahi("")?;
    let avahi = alpha_host.start_avahi("disable-user-service-publishing=yes\n")?;
    let mut advertiser = alpha_host.advertise("alpha", PORT, &[])?;

    let complaint = "Avahi does not publish PCP pmproxy on alpha (_pmproxy._tcp)";
    await_log(&advertiser, complaint, 3)?;
    let log = advertiser.log();
    assert_eq!(log.matches("Warning: ").count(), 1, "{log}");
    assert_eq!(beta_host.browse()?, []);
    assert!(advertiser.process().ended()?.is_none());

    avahi.terminate()?;
    let _avahi = alpha_host.start_avahi("")?;
    beta_host.await_finds("it after all", |found| found == alpha(BY_AVAHI))
}

#[test]
fn a_flood_of_records_does_not_stay_in_the_responders_memory() -> Result<()> {
    let (mut alpha_host, mut beta_host) = lan()?;
    let (_bus, _avahi) = (beta_host.start_bus()?, beta_host.start_avahi("")?);
    let advertiser = alpha_host.advertise("alpha", PORT, &[])?;
    beta_host.await_finds("it", |found| found == alpha(BY_RESPONDER))?;

    // More than the responder may keep, in answers that nobody asked for.
    let answers: Vec<String> = (0..200)
        .map(|number| {
            let file = beta_host.write(&format!("answer-{number}"), &unasked_answer(number))?;
            Ok(file.display().to_string())
        })
        .collect::<Result<_>>()?;
    let send = format!(
        "for answer in {}; do cat $answer > /dev/udp/10.77.0.1/5353; done",
        answers.join(" ")
    );
    beta_host
        .program(&["bash", "-c", &send])
        .run()?
        .succeeded()?;
    await_log(&advertiser, "starts afresh", 1)?;
    await_log(&advertiser, "advertised without it", 2)?;
    beta_host.await_finds("it still", |found| found == alpha(BY_RESPONDER))
}

/// A DNS answer with fifty SRV records of different services, which last for a day.
fn unasked_answer(number: usize) -> Vec<u8> {
    const RECORDS: u16 = 50;
    let mut message = vec![0, 0, 0x84, 0, 0, 0];
    message.extend(RECORDS.to_be_bytes());
    message.extend([0; 4]);
    for record in 0..RECORDS {
        let label = format!("{number:05}-{record:02}");
        message.extend([8]);
        message.extend(label.as_bytes());
        message.extend(b"\x04_foo\x04_tcp\x05local\0");
        // Type SRV, class IN, the lifetime, then 6 bytes of numbers and the name `a.`.
        message.extend([0, 33, 0, 1, 0, 1, 0x51, 0x80, 0, 9]);
        message.extend([0, 0, 0, 0, 0, 1, 1, b'a', 0]);
    }
    message
}
