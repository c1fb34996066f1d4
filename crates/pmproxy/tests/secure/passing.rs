//! Without a certificate in pmproxy: the channel passes through.

use anyhow::Result;
use testbed::Pmcd;

use crate::house::{House, expect_refused, expect_served, pmproxy, secure_client};

#[test]
fn a_secure_channel_passes_through_to_pmcd_end_to_end() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, pmproxy().start()?);
    let conf = house.client_conf()?;
    expect_served(secure_client(&proxy, "localhost", pmcd.port(), &conf))
}

#[test]
fn records_of_a_secure_channel_are_not_taken_for_pdus() -> Result<()> {
    let house = House::new()?;
    // No TLS record would pass as a PDU under this limit; the plain CREDS PDU does.
    let (pmcd, proxy) = (
        house.pmcd()?.start()?,
        pmproxy().args(["-L", "20"]).start()?,
    );
    let conf = house.client_conf()?;
    let shown = secure_client(&proxy, "localhost", pmcd.port(), &conf)
        .args(["-dtT", "kernel", "hinv"])
        .run()?
        .succeeded()?;
    assert!(
        shown.contains("kernel.all.load") && shown.lines().count() > 500,
        "{shown}"
    );
    assert!(!proxy.log().contains("over the limit"), "{}", proxy.log());
    Ok(())
}

#[test]
fn a_pmcd_without_a_certificate_offers_none_through_pmproxy_either() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (Pmcd::start("plain")?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    expect_refused(
        secure_client(&proxy, "localhost", pmcd.port(), &conf),
        "Operation not supported",
    )
}
