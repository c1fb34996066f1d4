//! A connection as a load generator uses it once it is set up, and how it gets one.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail, ensure};

/// What a round trip is.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request: Vec<u8>,
    /// The length of the reply in bytes.
    pub(super) reply: usize,
}

/// A contender as a load generator sees it.
pub(super) trait NearSide {
    type Link: Link;

    /// A connection that did a round trip to the server behind the contender.
    fn connect(&self) -> Result<Self::Link>;

    /// So many connections, one after the other.
    fn connect_all(&self, connections: usize) -> Result<Vec<Self::Link>> {
        (1..=connections)
            .map(|number| {
                self.connect()
                    .with_context(|| format!("connection {number} of {connections}"))
            })
            .collect()
    }
}

/// What the loads do with a connection. They are generic over it: a plain one costs nothing more
/// than a socket.
pub(super) trait Link {
    type Socket: AsFd;

    fn socket(&self) -> &Self::Socket;

    /// Sends a request, which always fits.
    fn send(&mut self, request: &[u8]) -> Result<()>;

    /// Reads until nothing is `missing` any more, which is `true`, or nothing more is there for
    /// now.
    fn receive(&mut self, missing: &mut usize, scratch: &mut [u8]) -> Result<bool>;
}

pub(super) const CLOSED: &str = "a connection was closed in the middle of a reply";
pub(super) const TOO_MUCH: &str = "more came than a reply";

/// A plain socket.
impl<S: Read + Write + AsFd> Link for S {
    type Socket = S;

    fn socket(&self) -> &S {
        self
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        write_whole(self, request)
    }

    /// A short read is the end of what was there: the next bytes bring a new event. All of the
    /// scratch buffer is offered, to notice a reply that is longer than it should be.
    fn receive(&mut self, missing: &mut usize, scratch: &mut [u8]) -> Result<bool> {
        while *missing > 0 {
            match self.read(scratch) {
                Ok(0) => bail!(CLOSED),
                Ok(got) => {
                    *missing = missing.checked_sub(got).context(TOO_MUCH)?;
                    if got < scratch.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read a reply"),
            }
        }
        Ok(*missing == 0)
    }
}

pub(super) fn write_whole(stream: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let sent = stream.write(bytes).context("cannot send a request")?;
    ensure!(
        sent == bytes.len(),
        "only {sent} bytes of a request went out"
    );
    Ok(())
}
