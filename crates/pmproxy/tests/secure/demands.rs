//! Certificates and authentication that are demanded of clients.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use nix::unistd::Uid;
use pcp_proto::{
    Creds, ErrorPdu, Features, PDU_VERSION, Pdu, PduHeader, PduType, PmnsTraverse, Status,
    VersionCred,
};
use testbed::{
    Client, PATIENCE, Pmcd, Pmproxy, PmproxyBuilder, Scratch, Wire, own_network, packages,
};

use crate::front::Front;
use crate::house::{House, expect_refused, expect_served, plain_client, pmproxy, secure_client};

/// An address of this machine that is not loopback, in a network of the test's own.
const ELSEWHERE: &str = "10.99.0.1";

/// A client of another machine, for all that the proxy can tell.
fn from_elsewhere(proxy: &Pmproxy, pmcd: &str, conf: &Path) -> Client {
    let host = format!("{pmcd}@{ELSEWHERE}:{}", proxy.port());
    Client::new("pminfo")
        .args(["-h", &host])
        .env("PCP_TLSCONF_PATH", conf)
}

/// The configuration of a client with a certificate.
fn alice(house: &House) -> Result<PathBuf> {
    house.client_conf_with("alice", &house.authority.issue(&["alice"])?)
}

/// A proxy that clients from elsewhere can reach.
fn reachable(proxy: PmproxyBuilder) -> Result<Pmproxy> {
    proxy.env("PMPROXY_LOCAL", "0").start()
}

#[test]
fn a_client_from_elsewhere_needs_a_trusted_certificate_with_q() -> Result<()> {
    own_network(&["10.99.0.1/32"])?;
    let house = House::new()?;
    let pmcd = house.pmcd()?.start()?;
    let proxy = reachable(house.proxy()?.args(["-Q"]))?;
    let (anybody, alice) = (house.client_conf()?, alice(&house)?);
    let (plain, secure) = (
        format!("localhost:{}", pmcd.port()),
        format!("pcps://localhost:{}", pmcd.port()),
    );
    expect_served(from_elsewhere(&proxy, &secure, &alice))?;
    let needed = "PMCD requires a client certificate";
    expect_refused(from_elsewhere(&proxy, &secure, &anybody), needed)?;
    expect_refused(from_elsewhere(&proxy, &plain, &anybody), needed)?;
    proxy.await_log("it has shown no certificate, and -Q or tls-verify-clients requires one")?;
    // Clients of this machine need none.
    expect_served(plain_client(&proxy, pmcd.port()))?;
    expect_served(secure_client(&proxy, "localhost", pmcd.port(), &anybody))
}

#[test]
fn a_client_from_elsewhere_needs_a_trusted_certificate_at_the_door_with_q() -> Result<()> {
    own_network(&["10.99.0.1/32"])?;
    let house = House::new()?;
    let pmcd = house.pmcd()?.start()?;
    let proxy = reachable(house.proxy()?.args(["-Q"]))?;
    let target = format!("localhost:{}", pmcd.port());
    let (key, own) = house.files("alice", &house.authority.issue(&["alice"])?, Uid::current())?;
    let shown = format!(",cert={},key={}", own.display(), key.display());
    expect_served(Front::at(ELSEWHERE, &proxy, &house, &shown)?.client(&target))?;
    let needed = "PMCD requires a client certificate";
    expect_refused(
        Front::at(ELSEWHERE, &proxy, &house, "")?.client(&target),
        needed,
    )?;
    // Clients of this machine need none.
    expect_served(Front::of(&proxy, &house)?.client(&target))
}

#[test]
fn a_pmproxy_beside_pmcd_is_no_way_around_the_certificates_that_pmcd_requires() -> Result<()> {
    own_network(&["10.99.0.1/32"])?;
    let house = House::new()?;
    let pmcd = house.pmcd()?.args(["-Q"]).env("PMCD_LOCAL", "0").start()?;
    let (anybody, alice) = (house.client_conf()?, alice(&house)?);
    let (plain, secure) = (
        format!("localhost:{}", pmcd.port()),
        format!("pcps://localhost:{}", pmcd.port()),
    );
    let needed = "PMCD requires a client certificate";
    // With a certificate, pmproxy can see for itself.
    let proxy = reachable(house.proxy()?)?;
    expect_served(from_elsewhere(&proxy, &secure, &alice))?;
    expect_refused(from_elsewhere(&proxy, &secure, &anybody), needed)?;
    expect_refused(from_elsewhere(&proxy, &plain, &anybody), needed)?;
    // libpcp says that by itself; a client that goes on all the same is told.
    let mut wire = Wire::connect_to((Ipv4Addr::from([10, 99, 0, 1]), proxy.port()).into())?;
    wire.send(b"pmproxy-client 1\n")?;
    wire.receive(17)?;
    wire.send(format!("localhost {}\n", pmcd.port()).as_bytes())?;
    wire.receive_pdu()?;
    wire.send_pdu(&Creds::default())?;
    let told = ErrorPdu::decode(&wire.receive_pdu()?)?;
    ensure!(
        told == ErrorPdu::Plain(Status::NEED_CLIENT_CERTIFICATE),
        "{told:?}"
    );
    proxy.await_log("it has shown no certificate, and pmcd requires one")?;
    expect_served(plain_client(&proxy, pmcd.port()))?;
    // Without one it cannot, and pmcd would take the client for one of its own machine.
    let blind = reachable(pmproxy())?;
    expect_refused(from_elsewhere(&blind, &plain, &alice), needed)?;
    expect_refused(from_elsewhere(&blind, &secure, &alice), needed)?;
    expect_served(plain_client(&blind, pmcd.port()))?;
    // A pmcd that does not take it for that sees to its certificates itself.
    let far = format!("pcps://{ELSEWHERE}:{}", pmcd.port());
    expect_served(from_elsewhere(&blind, &far, &alice))?;
    expect_refused(from_elsewhere(&blind, &far, &anybody), "")
}

/// A pmcd that knows a user.
fn pmcd_with_users(house: &House, scratch: &Scratch) -> Result<Pmcd> {
    for package in ["sasl2-bin", "libsasl2-modules"] {
        packages::require(package)?;
    }
    let users = scratch.join("passwd.db");
    let add = format!(
        "echo secret | saslpasswd2 -p -c -f {0} -a pmcd nobody && chmod 644 {0}",
        users.display()
    );
    Client::new("sh").args(["-c", &add]).run()?.succeeded()?;
    let settings = format!("mech_list: plain\nsasldb_path: {}\n", users.display());
    scratch.write("pmcd.conf", settings)?;
    house.pmcd()?.env("SASL_CONF_PATH", scratch.path()).start()
}

#[test]
fn clients_authenticate_themselves_to_pmcd_with_s() -> Result<()> {
    let (house, scratch) = (House::new()?, Scratch::new()?);
    let pmcd = pmcd_with_users(&house, &scratch)?;
    let conf = house.client_conf()?;
    let ask = |proxy: &Pmproxy, scheme: &str, user: &str| {
        let (pmcd, proxy) = (pmcd.port(), proxy.port());
        let host = format!("{scheme}localhost:{pmcd}@localhost:{proxy}{user}");
        Client::new("pminfo")
            .args(["-h", &host])
            .env("PCP_TLSCONF_PATH", &conf)
    };
    let (known, wrong) = (
        "?method=plain&user=nobody&pass=secret",
        "?method=plain&user=nobody&pass=wrong",
    );
    for proxy in [house.proxy()?, pmproxy()] {
        let proxy = proxy.args(["-S"]).start()?;
        for scheme in ["", "pcps://"] {
            expect_served(ask(&proxy, scheme, known))?;
            expect_refused(ask(&proxy, scheme, wrong), "uthentication")?;
            let denied = "No permission to perform requested operation";
            expect_refused(ask(&proxy, scheme, ""), denied)?;
        }
        proxy.await_log("it does not authenticate itself, which -S requires")?;
        // The system vouches for users of the unix socket.
        let socket = proxy.folder().join("pmproxy.sock");
        let served = is_served_on(&socket, pmcd.port())?;
        ensure!(served, "the client on the unix socket was refused");
    }
    Ok(())
}

/// Whether a client on the unix socket gets pmcd's answer to a request.
fn is_served_on(socket: &Path, port: u16) -> Result<bool> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let receive = |len| {
        let mut bytes = vec![0; len];
        (&stream).read_exact(&mut bytes).map(|()| bytes)
    };
    (&stream).write_all(b"pmproxy-client 1\n")?;
    receive(17)?;
    (&stream).write_all(format!("127.0.0.1 {port}\n").as_bytes())?;
    receive(20)?;
    let features = Features::default();
    let version = VersionCred {
        version: PDU_VERSION,
        features,
    };
    let creds = Creds {
        versions: vec![version],
    };
    (&stream).write_all(&creds.encode(0))?;
    let root = PmnsTraverse {
        name: String::new(),
    };
    (&stream).write_all(&root.encode(0))?;
    let head = PduHeader::decode(&receive(PduHeader::SIZE)?)?;
    Ok(head.pdu_type == PduType::PMNS_NAMES)
}

#[test]
fn a_pmcd_that_authenticates_nobody_is_not_reached_with_s() -> Result<()> {
    let stub = testbed::Stub::start(|mut wire, _| {
        // It offers nothing at all.
        wire.greet_as_pmcd()?;
        wire.receive_to_end()?;
        Ok(())
    })?;
    let proxy = pmproxy().args(["-S"]).start()?;
    let client = plain_client(&proxy, stub.port());
    expect_refused(client, "Operation not supported")?;
    proxy.await_log("pmcd cannot authenticate anybody, which -S requires")
}
