//! Certificates that are renewed while clients are there.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use testbed::{Client, PATIENCE, Pmproxy, eventually, packages};

use crate::house::{HERE, House, expect_served, secure_client};

/// The serial number of the certificate that a proxy shows at its door.
fn serial(proxy: &Pmproxy) -> Result<String> {
    packages::require("openssl")?;
    let ask = format!(
        "openssl s_client -connect 127.0.0.1:{} </dev/null 2>/dev/null | openssl x509 -noout -serial",
        proxy.port()
    );
    Client::new("sh").args(["-c", &ask]).run()?.succeeded()
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup_and_no_client_is_dropped() -> Result<()> {
    let house = House::new()?;
    let (pmcd, mut proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let host = format!(
        "pcps://localhost:{}@localhost:{}",
        pmcd.port(),
        proxy.port()
    );
    let stays = Client::new("pmval")
        .args(["-h", &host, "-t", "100msec", "pmcd.numclients"])
        .env("PCP_TLSCONF_PATH", &conf)
        .start()?;
    let lines = || stays.stdout().lines().count();
    eventually(PATIENCE, "the client's first values", || lines() > 8)?;
    let first = serial(&proxy)?;
    let renewed = house.authority.issue(&HERE)?;
    house.files("pmproxy", &renewed, Uid::current())?;
    proxy.signal(Signal::SIGHUP)?;
    eventually(PATIENCE, "the new certificate", || {
        serial(&proxy).is_ok_and(|now| now != first)
    })?;
    let seen = lines();
    eventually(PATIENCE, "more values", || lines() > seen + 3)?;
    expect_served(secure_client(&proxy, "localhost", pmcd.port(), &conf))?;
    // One that cannot be used changes nothing.
    let (now, _) = (
        serial(&proxy)?,
        house.scratch.write("pmproxy.crt", "nothing")?,
    );
    proxy.signal(Signal::SIGHUP)?;
    proxy.await_log("the certificates stay as they were")?;
    ensure!(serial(&proxy)? == now, "another certificate is shown");
    let seen = lines();
    eventually(PATIENCE, "still more values", || lines() > seen + 3)
}
