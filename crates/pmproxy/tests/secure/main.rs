//! Secure channels between real clients and a real pmcd.

use anyhow::Result;
use testbed::{Authority, Client, Pmcd, Pmproxy, Scratch};

/// A pmcd with a certificate, and a client's configuration that trusts its authority.
struct SecureHouse {
    pmcd: Pmcd,
    client_conf: std::path::PathBuf,
    _scratch: Scratch,
}

impl SecureHouse {
    fn new() -> Result<SecureHouse> {
        let scratch = Scratch::new()?;
        let authority = Authority::new("a test's authority")?;
        let certificate = authority.issue(&["localhost", "127.0.0.1"])?;
        let trusted = scratch.write("authority.crt", authority.certificate())?;
        let trust = format!("tls-ca-cert-file = {}\n", trusted.display());
        let key = scratch.write("pmcd.key", certificate.key)?;
        let own = scratch.write("pmcd.crt", certificate.certificate)?;
        let (key, own) = (key.display(), own.display());
        let server = format!("tls-key-file = {key}\ntls-cert-file = {own}\n{trust}");
        let server_conf = scratch.write("server.conf", server)?;
        let client_conf = scratch.write("client.conf", trust)?;
        let pmcd = Pmcd::builder("secure")
            .env("PCP_TLSCONF_PATH", server_conf)
            .start()?;
        Ok(SecureHouse {
            pmcd,
            client_conf,
            _scratch: scratch,
        })
    }

    fn proxy(&self, pdu_limit: &str) -> Result<Pmproxy> {
        Pmproxy::builder(env!("CARGO_BIN_EXE_pmproxy"))
            .args(["-L", pdu_limit])
            .start()
    }

    /// A client that refuses to go on without a secure channel.
    fn client(&self, proxy: &Pmproxy) -> Client {
        let host = format!(
            "pcps://localhost:{}@localhost:{}",
            self.pmcd.port(),
            proxy.port()
        );
        Client::new("pminfo")
            .args(["-h", &host])
            .env("PCP_TLSCONF_PATH", &self.client_conf)
    }
}

#[test]
fn a_secure_channel_passes_through_to_pmcd_end_to_end() -> Result<()> {
    let house = SecureHouse::new()?;
    let proxy = house.proxy("65536")?;
    let shown = house
        .client(&proxy)
        .args(["-f", "pmcd.hostname"])
        .run()?
        .succeeded()?;
    assert!(shown.contains("value \"secure\""), "{shown}");
    Ok(())
}

#[test]
fn records_of_a_secure_channel_are_not_taken_for_pdus() -> Result<()> {
    let house = SecureHouse::new()?;
    // No TLS record would pass as a PDU under this limit; the plain CREDS PDU does.
    let proxy = house.proxy("20")?;
    let shown = house
        .client(&proxy)
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
