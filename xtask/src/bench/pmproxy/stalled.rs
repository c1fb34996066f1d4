//! The client that sends requests and reads no reply.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

use super::super::figures::Sample;
use super::super::link::NearSide;
use super::super::memory::{WARM_UP, growth};
use super::super::proc_fs::Watched;
use super::secure_link::Sealed;
use super::wire::request;

/// The most by which `proxy` grew while a client sent `requests` and read no reply.
pub(super) fn run<L: Sealed>(
    peer: &impl NearSide<Link = L>,
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
    link.socket()
        .set_nonblocking(true)
        .context("cannot make a socket non-blocking")?;
    let mut client = Stalled { link, unsent };
    let grown = growth(before, proxy, || client.send())?;
    drop((warm, client));
    Ok(grown)
}

/// A client that sends and never reads.
struct Stalled<L> {
    link: L,
    /// What goes over the network.
    unsent: Vec<u8>,
}

impl<L: Sealed> Stalled<L> {
    /// Sends as much as the connection takes.
    fn send(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.link.socket().write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send requests"),
            }
        }
        Ok(())
    }
}
