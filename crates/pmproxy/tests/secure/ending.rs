//! With a certificate in pmproxy: the client's channel ends there, and another one leads to pmcd.

use std::net::TcpStream;

use anyhow::Result;
use pcp_proto::{Creds, ErrorPdu, Pdu, PmnsTraverse, Status};
use testbed::{Authority, Draft, Pmcd, Stub, Wire};

use crate::house::{
    HERE, House, expect_refused, expect_served, plain_client, pmproxy, secure_client,
};

#[test]
fn a_client_whose_channel_ends_in_pmproxy_sees_the_whole_of_pmcd() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let client = || secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_served(client())?;
    let everything = ["-dmtT"];
    let shown = client().args(everything).run()?.succeeded()?;
    let direct = testbed::Client::new("pminfo")
        .args(["-h", &format!("pcps://localhost:{}", pmcd.port())])
        .args(everything)
        .env("PCP_TLSCONF_PATH", &conf)
        .run()?
        .succeeded()?;
    assert_eq!(shown, direct);
    expect_served(plain_client(&proxy, pmcd.port()))
}

#[test]
fn pdus_inside_a_channel_that_ends_here_are_held_to_the_limit() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (
        house.pmcd()?.start()?,
        house.proxy()?.args(["-L", "20"]).start()?,
    );
    let conf = house.client_conf()?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    let finished = client.args(["-dtT", "kernel"]).run()?;
    assert!(!finished.stdout.contains("kernel.all.load"), "{finished:?}");
    proxy.await_log("over the limit of 20")
}

#[test]
fn a_long_answer_passes_a_channel_that_ends_here() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    for _ in 0..3 {
        let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
        let shown = client.args(["-f"]).run()?.succeeded()?;
        assert!(shown.contains("proc.psinfo") || shown.lines().count() > 2000);
    }
    Ok(())
}

#[test]
fn a_pmcd_with_the_certificate_of_another_host_is_refused() -> Result<()> {
    let house = House::new()?;
    let other = house.authority.issue(&["other.example"])?;
    let (pmcd, proxy) = (house.pmcd_with(&other)?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client, "TLS protocol failure")?;
    proxy.await_log("no secure channel with pmcd: ")?;
    proxy.await_log("certificate is not for localhost: it is for ")?;
    assert_eq!(
        proxy.metric("pmproxy_refused_total{reason=\"Insecure\"}")?,
        1.0
    );
    Ok(())
}

#[test]
fn a_pmcd_with_a_certificate_that_has_expired_is_refused() -> Result<()> {
    let house = House::new()?;
    let expired = house.authority.draft(&HERE)?.valid(-30, -1).issue()?;
    let (pmcd, proxy) = (house.pmcd_with(&expired)?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client, "TLS protocol failure")?;
    proxy.await_log("no secure channel with pmcd: the peer's certificate expired on ")
}

#[test]
fn a_pmcd_with_a_certificate_of_a_foreign_authority_is_refused() -> Result<()> {
    let house = House::new()?;
    let foreign = Authority::new("a foreign authority")?.issue(&HERE)?;
    let (pmcd, proxy) = (house.pmcd_with(&foreign)?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client, "TLS protocol failure")?;
    proxy.await_log("issued by an authority that is not trusted here")
}

#[test]
fn what_the_environment_lets_pass_is_let_pass() -> Result<()> {
    let house = House::new()?;
    let other = house.authority.issue(&["other.example"])?;
    let pmcd = house.pmcd_with(&other)?.start()?;
    let proxy = house
        .proxy()?
        .env("PCP_ALLOW_BAD_CERT_DOMAIN", "1")
        .start()?;
    let conf = house.client_conf()?;
    expect_served(secure_client(&proxy, "localhost", pmcd.port(), &conf))?;
    let own = Draft::self_signed(&HERE)?.issue()?;
    let pmcd = house.pmcd_with(&own)?.start()?;
    let client = || secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client(), "TLS protocol failure")?;
    let proxy = house
        .proxy()?
        .env("PCP_ALLOW_SERVER_SELF_CERT", "1")
        .start()?;
    expect_served(secure_client(&proxy, "localhost", pmcd.port(), &conf))
}

#[test]
fn a_pmcd_that_stalls_before_the_session_begins_is_given_up() -> Result<()> {
    let house = House::new()?;
    let stub = Stub::start(|mut wire, _| {
        wire.receive_to_end()?;
        Ok(())
    })?;
    let proxy = house.proxy()?.env("PMCD_REQUEST_TIMEOUT", "0.3").start()?;
    let mut wire = Wire::through(proxy.port(), "127.0.0.1", stub.port())?;
    let told = ErrorPdu::decode(&wire.receive_pdu()?)?.status();
    assert_eq!(told, Status::from_errno(nix::libc::ETIMEDOUT));
    proxy.await_log("pmcd stalled for 300ms before the session began")
}

#[test]
fn a_client_with_a_certificate_of_a_foreign_authority_is_refused() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let foreign = Authority::new("a foreign authority")?.issue(&["alice"])?;
    let conf = house.client_conf_with("foreign", &foreign)?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client, "")?;
    proxy.await_log(
        "no secure channel with it: the peer's certificate was issued by an authority that is not \
         trusted here",
    )
}

#[test]
fn a_client_with_a_certificate_that_has_expired_is_refused() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let expired = house.authority.draft(&["alice"])?.valid(-30, -1).issue()?;
    let conf = house.client_conf_with("expired", &expired)?;
    let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
    expect_refused(client, "")?;
    proxy.await_log("no secure channel with it: the peer's certificate expired on ")
}

#[test]
fn many_secure_clients_at_once_are_all_served() -> Result<()> {
    let house = House::new()?;
    let (pmcd, proxy) = (house.pmcd()?.start()?, house.proxy()?.start()?);
    let conf = house.client_conf()?;
    let running: Vec<_> = (0..30)
        .map(|_| {
            let client = secure_client(&proxy, "localhost", pmcd.port(), &conf);
            client.args(["-f", "pmcd.hostname"]).start()
        })
        .collect::<Result<_>>()?;
    for client in running {
        let shown = client.finish()?.succeeded()?;
        assert!(shown.contains("value \"secure\""), "{shown}");
    }
    Ok(())
}

#[test]
fn a_pmproxy_that_must_reach_pmcd_securely_makes_the_channel_itself() -> Result<()> {
    let house = House::new()?;
    let pmcd = house.pmcd()?.start()?;
    let conf = house.client_conf()?;
    let plain = Pmcd::start("plain")?;
    for (wanted, is_enforced) in [("relaxed", false), ("enforce", true), ("", true)] {
        let proxy = pmproxy()
            .env("PCP_TLSCONF_PATH", &conf)
            .env("PCP_SECURE_SOCKETS", wanted)
            .start()?;
        expect_served(plain_client(&proxy, pmcd.port()))?;
        expect_served(secure_client(&proxy, "localhost", pmcd.port(), &conf))?;
        let to_plain = plain_client(&proxy, plain.port());
        if is_enforced {
            expect_refused(to_plain, "Operation not supported")?;
            proxy.await_log("which PCP_SECURE_SOCKETS requires")?;
        } else {
            let shown = to_plain.args(["-f", "pmcd.hostname"]).run()?.succeeded()?;
            assert!(shown.contains("value \"plain\""), "{shown}");
        }
    }
    Ok(())
}

#[test]
fn a_pmproxy_that_must_reach_pmcd_securely_checks_its_certificate() -> Result<()> {
    let house = House::new()?;
    let other = house.authority.issue(&["other.example"])?;
    let pmcd = house.pmcd_with(&other)?.start()?;
    let proxy = pmproxy()
        .env("PCP_TLSCONF_PATH", house.client_conf()?)
        .env("PCP_SECURE_SOCKETS", "enforce")
        .start()?;
    expect_refused(plain_client(&proxy, pmcd.port()), "TLS protocol failure")?;
    proxy.await_log("certificate is not for localhost")
}

#[test]
fn what_pmcd_and_client_say_beyond_their_first_words_is_not_lost() -> Result<()> {
    let house = House::new()?;
    // It says more at once than its greeting, and gives back what it hears.
    let stub = Stub::start(|mut wire, _| {
        let greeting = ErrorPdu::refusal(Status::OK).encode(0);
        wire.send(&[greeting, b"and more".to_vec()].concat())?;
        let mut stream: &TcpStream = wire.stream();
        std::io::copy(&mut &*stream, &mut stream)?;
        Ok(())
    })?;
    let proxy = house.proxy()?.start()?;
    let mut wire = Wire::through(proxy.port(), "127.0.0.1", stub.port())?;
    let root = PmnsTraverse {
        name: String::new(),
    };
    let words = [Creds::default().encode(7), root.encode(8)].concat();
    wire.send(&words)?;
    assert_eq!(wire.receive(20)?, ErrorPdu::refusal(Status::OK).encode(0));
    assert_eq!(wire.receive(8)?, b"and more");
    assert_eq!(wire.receive(words.len())?, words);
    Ok(())
}
