//! What the tests start: our pmproxy, and a house of it and a real pmcd, which must be in order
//! again after each bad guest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pcp_proto::{ErrorPdu, Pdu, PduHeader, PduType, Status};
use testbed::{Client, PATIENCE, Pmcd, Pmproxy, PmproxyBuilder, Stub, Wire, eventually};

/// Ours, to be started.
pub(crate) fn pmproxy() -> PmproxyBuilder {
    Pmproxy::builder(env!("CARGO_BIN_EXE_pmproxy"))
}

/// The host specification of a pmcd behind a proxy.
pub(crate) fn through(proxy: &Pmproxy, pmcd: u16) -> String {
    format!("localhost:{pmcd}@localhost:{}", proxy.port())
}

/// A client that asks the pmcd at the end of a host specification for its name.
pub(crate) fn pminfo(host: &str) -> Client {
    Client::new("pminfo").args(["-h", host, "-f", "pmcd.hostname"])
}

/// What a run of [`pminfo`] says that the pmcd's name is.
pub(crate) fn name_of_pmcd(pminfo: &Client) -> Result<String> {
    let shown = pminfo.run()?.succeeded()?;
    let name = shown
        .split_once("value \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let (name, _) = name.with_context(|| format!("there is no host name in {shown}"))?;
    Ok(name.to_owned())
}

/// The loopback addresses of this machine, which may have no IPv6.
pub(crate) fn loopbacks() -> Vec<IpAddr> {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        .into_iter()
        .filter(|&address: &IpAddr| TcpListener::bind((address, 0)).is_ok())
        .collect()
}

/// An address as it stands in a host specification or a URL.
pub(crate) fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// A PDU of `len` bytes, at least those of a header, filled with `fill`.
pub(crate) fn pdu(len: u32, fill: u8) -> Vec<u8> {
    let header = PduHeader {
        len,
        pdu_type: PduType::FETCH,
        from: 0,
    };
    let mut pdu = header.encode().to_vec();
    pdu.resize(len as usize, fill);
    pdu
}

/// A session with a stub, past its greeting.
pub(crate) fn session(proxy: &Pmproxy, stub: &Stub) -> Result<Wire> {
    let mut wire = Wire::through(proxy.port(), "127.0.0.1", stub.port())?;
    expect_greeting(&mut wire)?;
    Ok(wire)
}

/// Receives the greeting with which a pmcd says that the client is welcome.
pub(crate) fn expect_greeting(wire: &mut Wire) -> Result<()> {
    let greeting = ErrorPdu::decode(&wire.receive_pdu()?)?;
    ensure!(greeting.status() == Status::OK, "greeted with {greeting:?}");
    Ok(())
}

/// A pmcd that says nothing after its greeting, and what it has received from each client by the end
/// of the client's session.
pub(crate) fn recorder() -> Result<(Stub, Receiver<Vec<u8>>)> {
    let (sender, received) = channel();
    let stub = Stub::start(move |mut wire, _| {
        wire.greet_as_pmcd()?;
        Ok(sender.send(wire.receive_to_end()?.0)?)
    })?;
    Ok((stub, received))
}

/// The address that a proxy's log has for this end of a connection to it.
pub(crate) fn address_of(wire: &Wire) -> Result<SocketAddr> {
    Ok(wire.stream().local_addr()?)
}

/// Our pmproxy and a real pmcd.
pub(crate) struct House {
    pub(crate) proxy: Pmproxy,
    pub(crate) pmcd: Pmcd,
    /// The descriptors that the proxy has when nobody is there.
    at_rest: Vec<usize>,
}

impl House {
    pub(crate) fn open() -> Result<House> {
        House::open_with(pmproxy())
    }

    pub(crate) fn open_with(proxy: PmproxyBuilder) -> Result<House> {
        let (proxy, pmcd) = (proxy.start()?, Pmcd::start("alpha")?);
        let at_rest = descriptors_at_rest(&proxy)?;
        Ok(House {
            proxy,
            pmcd,
            at_rest,
        })
    }

    /// Lets a bad guest in a few times, and expects the house to be in order each time after it.
    pub(crate) fn survives(&self, mut guest: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..3 {
            guest()?;
            self.serves()?;
        }
        self.is_in_order()
    }

    /// Leaves the proxy room for `more` descriptors than it has when nobody is there.
    pub(crate) fn confine(&self, more: usize) -> Result<()> {
        let mut free = (0..).filter(|number| !self.at_rest.contains(number));
        let limit = free.nth(more).context("the numbers have no end")?;
        let pid = self.proxy.pid();
        Client::new("prlimit")
            .args([format!("--pid={pid}"), format!("--nofile={limit}:{limit}")])
            .run()?
            .succeeded()?;
        Ok(())
    }

    /// Expects a real client to be served.
    pub(crate) fn serves(&self) -> Result<()> {
        let name = name_of_pmcd(&pminfo(&through(&self.proxy, self.pmcd.port())))?;
        ensure!(name == "alpha", "the client reached {name}");
        Ok(())
    }

    /// Waits for the last guest's end, and expects that nobody left anything behind and that a real
    /// client is served.
    pub(crate) fn is_in_order(&self) -> Result<()> {
        await_nobody(&self.proxy)?;
        self.serves()?;
        await_nobody(&self.proxy)?;
        self.proxy.await_descriptors(self.at_rest.len())
    }
}

/// Waits until the proxy knows of no client.
fn await_nobody(proxy: &Pmproxy) -> Result<()> {
    let nobody = ["pmproxy_connected 0", "pmproxy_sessions 0"];
    let gone = |metrics: String| {
        nobody
            .iter()
            .all(|row| metrics.lines().any(|line| line == *row))
    };
    eventually(PATIENCE, "all clients to be gone", || {
        proxy.metrics().is_ok_and(gone)
    })
    .with_context(|| format!("{:?}", proxy.metrics()))
}

/// The descriptors that the proxy has when nobody is there. It may still be closing the connection
/// on which it told so: the fewest of some looks count.
fn descriptors_at_rest(proxy: &Pmproxy) -> Result<Vec<usize>> {
    await_nobody(proxy)?;
    let mut fewest = descriptors(proxy)?;
    for _ in 0..20 {
        sleep(Duration::from_millis(20));
        let now = descriptors(proxy)?;
        if now.len() < fewest.len() {
            fewest = now;
        }
    }
    Ok(fewest)
}

fn descriptors(proxy: &Pmproxy) -> Result<Vec<usize>> {
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid()))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.collect())
}
