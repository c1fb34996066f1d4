//! The loads that measure the proxy's memory: idle connections, and a client that reads nothing.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::figures::{Figure, Sample};
use super::link::Link;
use super::peer::NearSide;
use super::proc_fs::Watched;
use super::wire::request;

/// Connections that come first, so that what the proxy needs once is not counted.
const WARM_UP: usize = 16;

/// Time for the proxy to give back what it needed while connections were set up.
const SETTLE: Duration = Duration::from_millis(500);

/// How often memory is looked at while a client reads nothing.
const LOOK: Duration = Duration::from_millis(50);

/// Memory that has not grown for so long has stopped growing.
const STEADY: Duration = Duration::from_millis(1500);

/// A stalled client is given up after so long, or once the proxy grew by so many bytes.
const LONGEST: Duration = Duration::from_secs(10);
const ENOUGH: u64 = 3_000_000_000;

/// Resident memory of `proxy` for each of so many idle connections.
pub(super) fn idle(peer: &impl NearSide, connections: usize, proxy: Watched) -> Result<Sample> {
    let warm = peer.connect_all(WARM_UP)?;
    thread::sleep(SETTLE);
    let before = proxy.resident()?;
    let idle = peer.connect_all(connections)?;
    thread::sleep(SETTLE);
    let after = proxy.resident()?;
    drop((warm, idle));
    let each = (after as f64 - before as f64) / connections as f64;
    Ok(Sample::default().with(Figure::IdleMemory, each))
}

/// The most by which `proxy` grew while a client sent `requests` and read no reply.
pub(super) fn stalled(
    peer: &impl NearSide,
    requests: usize,
    reply: u32,
    proxy: Watched,
) -> Result<Sample> {
    let warm = peer.connect_all(WARM_UP)?;
    let before = proxy.resident()?;
    let mut link = peer.connect()?;
    let mut unsent = Vec::new();
    for _ in 0..requests {
        unsent.extend(link.sealed(&request(reply))?);
    }
    link.stream()
        .set_nonblocking(true)
        .context("cannot make a socket non-blocking")?;
    let mut client = Stalled { link, unsent };

    let start = Instant::now();
    let mut grown = 0;
    let mut grew_at = start;
    while start.elapsed() < LONGEST && grew_at.elapsed() < STEADY && grown < ENOUGH {
        client.send()?;
        thread::sleep(LOOK);
        let now = proxy.resident()?.saturating_sub(before);
        if now > grown {
            grown = now;
            grew_at = Instant::now();
        }
    }
    drop((warm, client));
    Ok(Sample::default().with(Figure::StalledMemory, grown as f64))
}

/// A client that sends and never reads.
struct Stalled<L> {
    link: L,
    /// What goes over the network.
    unsent: Vec<u8>,
}

impl<L: Link> Stalled<L> {
    /// Sends as much as the connection takes.
    fn send(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.link.stream().write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send requests"),
            }
        }
        Ok(())
    }
}
