//! What the tests start: our pmproxy, and a pmcd that sends everything back.

use anyhow::{Result, ensure};
use pcp_proto::{ErrorPdu, Pdu, PduHeader, PduType, Status};
use testbed::{Client, PATIENCE, Pmproxy, PmproxyBuilder, Stub, Wire, eventually};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pmproxy");

/// Ours, to be started.
pub(crate) fn pmproxy() -> PmproxyBuilder {
    Pmproxy::builder(PROGRAM)
}

/// A real client that goes through a proxy to the pmcd on `pmcd`.
pub(crate) fn pminfo(proxy: &Pmproxy, pmcd: u16) -> Client {
    let host = format!("localhost:{pmcd}@localhost:{}", proxy.port());
    Client::new("pminfo").args(["-h", &host, "-f", "pmcd.hostname"])
}

/// A session with a stub, past its greeting.
pub(crate) fn session(proxy: &Pmproxy, stub: &Stub) -> Result<Wire> {
    let mut wire = Wire::through(proxy.port(), "127.0.0.1", stub.port())?;
    let greeting = ErrorPdu::decode(&wire.receive_pdu()?)?;
    ensure!(greeting.status() == Status::OK, "greeted with {greeting:?}");
    Ok(wire)
}

/// Sends a PDU of `len` bytes, at least those of a header, and expects it back.
pub(crate) fn round_trip(wire: &mut Wire, len: u32) -> Result<()> {
    let header = PduHeader {
        len,
        pdu_type: PduType::FETCH,
        from: 0,
    };
    let mut pdu = header.encode().to_vec();
    pdu.resize(len as usize, 7);
    wire.send(&pdu)?;
    ensure!(wire.receive(pdu.len())? == pdu, "another PDU came back");
    Ok(())
}

/// Waits until a number has a value: what has passed may be counted a moment later.
pub(crate) fn await_metric(proxy: &Pmproxy, name: &str, value: f64) -> Result<()> {
    eventually(PATIENCE, format!("{name} {value}"), || {
        proxy.metric(name).is_ok_and(|now| now == value)
    })
}
