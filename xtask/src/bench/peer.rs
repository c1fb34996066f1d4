//! The near side of a contender: connects as its clients do, and makes sure that each connection
//! reaches the stub server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO, Target};

use super::wire::{credentials, request, welcome};

/// Bounds each wait for a contender while a connection is set up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Size of the reply that proves a connection, in bytes.
const PROOF: u32 = 1200;

/// Where to connect, and what to say first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Where the contender listens.
    pub(super) address: SocketAddr,
    /// The stub server, when the contender is a pmproxy and must be told where to go.
    pub(super) target: Option<SocketAddr>,
}

impl Peer {
    /// So many connections, one after the other, each with a round trip to the stub server behind
    /// it.
    pub(super) fn connect_all(&self, connections: usize) -> Result<Vec<TcpStream>> {
        (1..=connections)
            .map(|number| {
                self.connect()
                    .with_context(|| format!("connection {number} of {connections}"))
            })
            .collect()
    }

    fn connect(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("cannot bound the wait for a reply")?;
        if let Some(target) = self.target {
            greet(&mut stream, target)?;
        }
        expect(&mut stream, &welcome()).context("the stub server's welcome")?;
        stream
            .write_all(&[&credentials(), &request(PROOF)[..]].concat())
            .context("cannot send the first request")?;
        stream
            .read_exact(&mut [0; PROOF as usize])
            .context("the first reply did not arrive")?;
        Ok(stream)
    }
}

/// The pmproxy protocol's opening: see [`pcp_proto::greeting`].
fn greet(stream: &mut TcpStream, target: SocketAddr) -> Result<()> {
    let port = NonZeroU16::new(target.port()).context("the stub server has no port")?;
    let target = Target::new(&target.ip().to_string(), port)?;
    stream
        .write_all(CLIENT_HELLO)
        .context("cannot send the greeting")?;
    expect(stream, SERVER_HELLO).context("the answer to the greeting")?;
    stream
        .write_all(&target.to_line())
        .context("cannot send the host line")
}

fn expect(stream: &mut TcpStream, wanted: &[u8]) -> Result<()> {
    let mut came = vec![0; wanted.len()];
    stream.read_exact(&mut came).context("it did not come")?;
    ensure!(
        came == wanted,
        "{:?} came instead",
        came.escape_ascii().to_string()
    );
    Ok(())
}
