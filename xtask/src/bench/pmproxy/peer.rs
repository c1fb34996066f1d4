//! The near side of a contender: connects as its clients do, and makes sure that each connection
//! reaches the stub server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO, Target};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;

use super::super::link::NearSide;
use super::secure_link::{Blocking, SecureLink};
use super::wire::{acknowledgement, credentials, request, welcome};

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

/// When a connection turns to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// After the credentials, which ask for it: PCP's own way.
    AfterCredentials,
    /// Before all else.
    AtTheDoor,
}

impl Handshake {
    const ALL: [Handshake; 2] = [Handshake::AfterCredentials, Handshake::AtTheDoor];

    /// The word for it on the load generator's command line.
    pub(super) fn key(self) -> &'static str {
        match self {
            Handshake::AfterCredentials => "after-credentials",
            Handshake::AtTheDoor => "at-the-door",
        }
    }

    pub(super) fn find(key: &str) -> Result<Handshake> {
        let found = Handshake::ALL
            .into_iter()
            .find(|handshake| handshake.key() == key);
        found.with_context(|| format!("there is no handshake {key:?}"))
    }
}

impl NearSide for Peer {
    type Link = TcpStream;

    fn connect(&self) -> Result<TcpStream> {
        let mut stream = self.dial()?;
        self.open(&mut stream)?;
        Ok(stream)
    }
}

impl Peer {
    fn dial(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("cannot bound the wait for a reply")?;
        Ok(stream)
    }

    /// Opens a session that asks for no TLS.
    fn open(&self, stream: &mut (impl Read + Write)) -> Result<()> {
        self.reach(stream)?;
        prove(stream, &credentials(false))
    }

    /// The stub server's welcome, through the proxy if there is one.
    fn reach(&self, stream: &mut (impl Read + Write)) -> Result<()> {
        if let Some(target) = self.target {
            greet(stream, target)?;
        }
        expect(stream, &welcome()).context("the stub server's welcome")
    }
}

/// A contender to which connections have TLS.
pub(super) struct SecurePeer {
    pub(super) peer: Peer,
    pub(super) handshake: Handshake,
    pub(super) config: Arc<ClientConfig>,
}

impl NearSide for SecurePeer {
    type Link = SecureLink;

    fn connect(&self) -> Result<SecureLink> {
        let mut stream = self.peer.dial()?;
        if self.handshake == Handshake::AfterCredentials {
            self.peer.reach(&mut stream)?;
            stream
                .write_all(&credentials(true))
                .context("cannot send the credentials")?;
            expect(&mut stream, &acknowledgement()).context("the word that TLS may begin")?;
        }
        let name = ServerName::from(self.peer.address.ip());
        let end = UnbufferedClientConnection::new(Arc::clone(&self.config), name)?;
        let mut link = SecureLink::new(stream, end)?;
        let mut stream = Blocking::new(&mut link);
        match self.handshake {
            Handshake::AfterCredentials => prove(&mut stream, &[])?,
            Handshake::AtTheDoor => self.peer.open(&mut stream)?,
        }
        Ok(link)
    }
}

/// Sends the first request behind the client's last `words`, and awaits the reply.
fn prove(stream: &mut (impl Read + Write), words: &[u8]) -> Result<()> {
    stream
        .write_all(&[words, &request(PROOF)].concat())
        .context("cannot send the first request")?;
    stream
        .read_exact(&mut [0; PROOF as usize])
        .context("the first reply did not arrive")
}

/// The pmproxy protocol's opening: see [`pcp_proto::greeting`].
fn greet(stream: &mut (impl Read + Write), target: SocketAddr) -> Result<()> {
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

fn expect(stream: &mut impl Read, wanted: &[u8]) -> Result<()> {
    let mut came = vec![0; wanted.len()];
    stream.read_exact(&mut came).context("it did not come")?;
    ensure!(
        came == wanted,
        "{:?} came instead",
        came.escape_ascii().to_string()
    );
    Ok(())
}
