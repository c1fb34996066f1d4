//! The near side of a contender: connects as a client of libvirt does.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use virt_proto::{AuthList, AuthType, Open, OpenFlags};

use super::super::link::NearSide;
use super::wire::{call, prove};

/// Bounds each wait for a contender.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to connect, and what to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Where the contender listens.
    pub(super) socket: PathBuf,
    pub(super) uri: String,
}

impl Peer {
    /// A connection on which the URI is open.
    pub(super) fn open(&self) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)
            .with_context(|| format!("cannot connect to {}", self.socket.display()))?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("cannot bound the wait for a reply")?;
        let types = call(&mut stream, &AuthList)?;
        ensure!(
            types.0.contains(&AuthType::NONE) || types.0.is_empty(),
            "it wants authentication"
        );
        let open = Open {
            name: Some(self.uri.clone()),
            flags: OpenFlags::default(),
        };
        call(&mut stream, &open).with_context(|| format!("cannot open {}", self.uri))?;
        Ok(stream)
    }
}

impl NearSide for Peer {
    type Link = UnixStream;

    fn connect(&self) -> Result<UnixStream> {
        let mut stream = self.open()?;
        prove(&mut stream)?;
        Ok(stream)
    }
}
