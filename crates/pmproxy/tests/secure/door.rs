//! TLS as the first bytes on pmproxy's port, with PCP's greeting inside.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use testbed::{PATIENCE, Pmcd, deaf_port};

use crate::front::Front;
use crate::house::{House, expect_refused, expect_served, pmproxy};

#[test]
fn a_client_that_begins_with_tls_is_greeted_inside() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let front = Front::of(&proxy, &house)?;
    expect_served(front.client(&format!("localhost:{}", pmcd.port())))?;
    let shown = front
        .client(&format!("localhost:{}", pmcd.port()))
        .args(["-dfmtT"])
        .run()?
        .succeeded()?;
    assert!(shown.lines().count() > 2000, "{}", shown.lines().count());
    // To a pmcd that knows nothing of secure channels as well.
    let plain = Pmcd::start("secure")?;
    expect_served(front.client(&format!("localhost:{}", plain.port())))
}

#[test]
fn a_channel_inside_the_channel_at_the_door_passes_through_to_pmcd() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let front = Front::of(&proxy, &house)?;
    let client = front.client(&format!("pcps://localhost:{}", pmcd.port()));
    expect_served(client.env("PCP_TLSCONF_PATH", house.client_conf()?))
}

#[test]
fn refusals_reach_a_client_that_began_with_tls() -> Result<()> {
    let house = House::new()?;
    let proxy = house.proxy()?.start()?;
    let front = Front::of(&proxy, &house)?;
    expect_refused(front.client("no.such.host.invalid"), "No route to host")?;
    let (_kept, port) = deaf_port()?;
    let closed = format!("127.0.0.1:{port}");
    expect_refused(front.client(&closed), "Connection refused")
}

#[test]
fn a_pmproxy_without_a_certificate_says_that_it_has_none() -> Result<()> {
    let house = House::new()?;
    let proxy = pmproxy().start()?;
    let front = Front::of(&proxy, &house)?;
    expect_refused(front.client("localhost"), "")?;
    proxy.await_log("it begins with TLS, but pmproxy has no certificate")
}

#[test]
fn nonsense_that_looks_like_tls_harms_nobody() -> Result<()> {
    let house = House::new()?;
    let pmcd = house.pmcd()?.start()?;
    let proxy = house.proxy()?.env("PMCD_CONNECT_TIMEOUT", "3").start()?;
    let front = Front::of(&proxy, &house)?;
    expect_served(front.client(&format!("localhost:{}", pmcd.port())))?;
    let at_rest = proxy.descriptors()?;
    let nonsense: [&[u8]; 6] = [
        &[0x16],
        &[0x16, 0x03, 0x01, 0xff, 0xff],
        &[0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00],
        &[0x16; 9000],
        &[0x16, 0x03, 0x03, 0x00, 0x04, 0x01, 0x00, 0x00, 0x00],
        b"\x16\x03\x01\x00\x05pmproxy-client 1\n",
    ];
    for bytes in nonsense {
        for closes in [true, false] {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(bytes)?;
            if closes {
                // It may have been sent away by now.
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            // An alert, or nothing, and the end, which may be a reset.
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            ensure!(answer.len() < 100, "{answer:?}");
        }
        expect_served(front.client(&format!("localhost:{}", pmcd.port())))?;
    }
    proxy.await_descriptors(at_rest)
}
