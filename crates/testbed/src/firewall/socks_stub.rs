//! A SOCKS server that plays a part: what real ones do only when they fail, or never.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::host::Host;
use crate::eventually::{PATIENCE, eventually};
use crate::stub::{Stop, Stub};
use crate::wire::Wire;

/// How a [`SocksStub`] serves. Unless it relays, it is the target of all connections by itself: it
/// sends back what it receives.
#[derive(Clone, Debug, Default)]
pub struct Conduct {
    /// The versions that it speaks: `4`, `4a` and `5`; all if there are none. It closes the connection
    /// of who speaks another; one that does not know 4a takes the address 0.0.0.x as it is, and
    /// refuses it.
    pub versions: Vec<&'static str>,
    /// The user and the password that it wants over SOCKS 5.
    pub credentials: Option<(&'static str, &'static str)>,
    /// Makes the connections that it is asked for. Names are those in `/etc/hosts` of its host.
    pub relays: bool,
    /// Notes what it relays to targets, piece by piece as it gets it.
    pub pieces: Option<Pieces>,
    /// Answers requests with this code; `None` grants them.
    pub code: Option<u8>,
    /// Takes connections and says nothing.
    pub silent: bool,
    /// Says this to every client at once, and nothing else.
    pub says: Option<Vec<u8>>,
    /// Closes the connection when it has sent this many bytes of all that it has to say.
    pub closes_after: Option<usize>,
    /// Sends its answers byte by byte, with this pause before each.
    pub slow: Option<Duration>,
    /// Thinks about every request for so long.
    pub late: Option<Duration>,
    /// Puts these bytes of the target into the same segment as its last answer.
    pub hurries: Option<Vec<u8>>,
    /// Chooses this way of authentication, offered or not.
    pub method: Option<u8>,
    /// Waits with its answer to the request until it is let go.
    pub held: Option<Held>,
}

/// Holds a [`SocksStub`] until it is released.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<(Mutex<bool>, Condvar)>);

impl Held {
    /// Lets all that waits go on, and all that will come.
    pub fn release(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let released = lock(&self.0.0);
        drop(
            self.0
                .1
                .wait_timeout_while(released, PATIENCE, |released| !*released),
        );
    }
}

/// What a [`SocksStub`] has relayed to targets.
#[derive(Clone, Debug, Default)]
pub struct Pieces(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pieces {
    /// All so far.
    #[must_use]
    pub fn all(&self) -> Vec<Vec<u8>> {
        lock(&self.0).clone()
    }
}

/// What a client has asked a [`SocksStub`] for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksAsked {
    /// `4`, `4a` or `5`.
    pub version: &'static str,
    /// The user of SOCKS 4, or of SOCKS 5 when it was asked for.
    pub user: String,
    /// Where to: `HOST:PORT`.
    pub target: String,
}

impl fmt::Display for SocksAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SocksAsked {
            version,
            user,
            target,
        } = self;
        write!(f, "{version} {user}@{target}")
    }
}

/// The server.
#[derive(Debug)]
pub struct SocksStub {
    stub: Stub,
    asked: Arc<Mutex<Vec<SocksAsked>>>,
}

impl SocksStub {
    /// Starts one on an address of a host.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(host: &Host, address: &str, port: u16, conduct: Conduct) -> Result<SocksStub> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (notes, here) = (Arc::clone(&asked), host.clone());
        let stub = host.stub(address, port, move |wire, stop| {
            let mut visit = Visit {
                wire,
                host: &here,
                stop,
                conduct: &conduct,
                notes: &notes,
                sent: 0,
            };
            visit.serve()
        })?;
        Ok(SocksStub { stub, asked })
    }

    /// The requests so far, each as `VERSION USER@HOST:PORT`.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).iter().map(ToString::to_string).collect()
    }

    /// Waits until somebody has asked for something.
    ///
    /// # Errors
    /// When nobody does.
    pub fn await_asked(&self) -> Result<()> {
        eventually(PATIENCE, "a request to the SOCKS server", || {
            !lock(&self.asked).is_empty()
        })
    }

    /// How many connections have come.
    pub fn accepted(&self) -> usize {
        self.stub.accepted()
    }
}

/// One client.
struct Visit<'a> {
    wire: Wire,
    host: &'a Host,
    stop: &'a Stop,
    conduct: &'a Conduct,
    notes: &'a Mutex<Vec<SocksAsked>>,
    sent: usize,
}

impl Visit<'_> {
    fn serve(&mut self) -> Result<()> {
        if self.conduct.silent {
            self.stop.wait();
            return Ok(());
        }
        if let Some(says) = &self.conduct.says {
            let says = says.clone();
            self.wire.send(&says)?;
            self.wire.receive_to_end()?;
            return Ok(());
        }
        let target = match self.wire.receive(1)?[0] {
            4 => self.serve4()?,
            5 if self.speaks("5") => self.serve5()?,
            _ => return Ok(()),
        };
        let client: &TcpStream = self.wire.stream();
        let target = target.as_ref().unwrap_or(client);
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on(target, client));
            if !std::ptr::eq(target, client) {
                match &self.conduct.pieces {
                    None => pass_on(client, target),
                    Some(pieces) => pass_on_in_pieces(client, target, pieces),
                }
            }
        });
        Ok(())
    }

    fn speaks(&self, version: &str) -> bool {
        self.conduct.versions.is_empty() || self.conduct.versions.contains(&version)
    }

    fn serve4(&mut self) -> Result<Option<TcpStream>> {
        let head = self.wire.receive(7)?;
        let user = self.text()?;
        let address: [u8; 4] = head[3..7].try_into()?;
        let mut host = Ipv4Addr::from(address).to_string();
        let mut version = "4";
        if self.speaks("4a") && address[..3] == [0; 3] && address[3] != 0 {
            version = "4a";
            host = self.text()?;
        }
        ensure!(
            self.speaks(version) || self.speaks("4a"),
            "a client speaks SOCKS {version}"
        );
        let asked = self.note(version, user, &host, &head[1..3]);
        let target = self.dial(&asked);
        let code = self
            .conduct
            .code
            .unwrap_or(if target.is_ok() { 90 } else { 91 });
        self.reply(vec![0, code, 0x12, 0x34, 10, 2, 0, 1])?;
        ensure!(code == 90, "the request was refused");
        target
    }

    fn serve5(&mut self) -> Result<Option<TcpStream>> {
        let count = self.wire.receive(1)?[0];
        let offered = self.wire.receive(usize::from(count))?;
        let wanted = if self.conduct.credentials.is_some() {
            2
        } else {
            0
        };
        let method = match self.conduct.method {
            Some(method) => method,
            None if offered.contains(&wanted) => wanted,
            None => 0xff,
        };
        self.send(&[5, method])?;
        let user = match method {
            0 => String::new(),
            2 => self.authenticate()?,
            _ => bail!("no way of authentication for {offered:?}"),
        };
        let head = self.wire.receive(4)?;
        let host = match head[3] {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.wire.receive(4)?).unwrap_or_default())
                .to_string(),
            3 => self.counted()?,
            4 => {
                let octets = <[u8; 16]>::try_from(self.wire.receive(16)?).unwrap_or_default();
                format!("[{}]", Ipv6Addr::from(octets))
            }
            other => bail!("address type {other}"),
        };
        let port = self.wire.receive(2)?;
        let asked = self.note("5", user, &host, &port);
        let target = self.dial(&asked);
        let code = self
            .conduct
            .code
            .unwrap_or(if target.is_ok() { 0 } else { 5 });
        self.reply(vec![5, code, 0, 1, 10, 2, 0, 1, 0x12, 0x34])?;
        ensure!(code == 0, "the request was refused");
        target
    }

    fn authenticate(&mut self) -> Result<String> {
        ensure!(self.wire.receive(1)?[0] == 1, "RFC 1929 has version 1");
        let (user, password) = (self.counted()?, self.counted()?);
        let welcome = self.conduct.credentials == Some((&user, &password));
        self.send(&[1, u8::from(!welcome)])?;
        ensure!(welcome, "{user} has another password");
        Ok(user)
    }

    /// A text with its length before it.
    fn counted(&mut self) -> Result<String> {
        let len = self.wire.receive(1)?[0];
        let bytes = self.wire.receive(usize::from(len))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A text with a zero behind it.
    fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        loop {
            match self.wire.receive(1)?[0] {
                0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                byte => bytes.push(byte),
            }
        }
    }

    /// Notes the request, and gives its target.
    fn note(&self, version: &'static str, user: String, host: &str, port: &[u8]) -> String {
        let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
        lock(self.notes).push(SocksAsked {
            version,
            user,
            target: target.clone(),
        });
        target
    }

    /// The connection to a target, if it is to be made.
    fn dial(&self, target: &str) -> Result<Option<TcpStream>> {
        if !self.conduct.relays {
            return Ok(None);
        }
        let (host, port) = target.rsplit_once(':').context("a target has a port")?;
        let hosts = std::fs::read_to_string(self.host.path("/etc/hosts"))?;
        let line = hosts
            .lines()
            .find_map(|line| line.strip_suffix(host)?.strip_suffix(' '));
        let address = line.unwrap_or(host.trim_matches(['[', ']']));
        let address = SocketAddr::new(address.parse()?, port.parse()?);
        let stream = self
            .host
            .enter(|| TcpStream::connect_timeout(&address, PATIENCE))??;
        Ok(Some(stream))
    }

    /// The last answer.
    fn reply(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        if let Some(late) = self.conduct.late {
            self.stop.pause(late);
        }
        if let Some(held) = &self.conduct.held {
            held.wait();
        }
        if let Some(early) = &self.conduct.hurries {
            bytes.extend(early);
        }
        self.send(&bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let left = match self.conduct.closes_after {
            Some(total) => bytes.len().min(total - self.sent.min(total)),
            None => bytes.len(),
        };
        self.sent += left;
        match self.conduct.slow {
            Some(pause) => self.wire.send_slowly(&bytes[..left], 1, pause)?,
            None => self.wire.send(&bytes[..left])?,
        }
        ensure!(
            left == bytes.len(),
            "this is where it closes the connection"
        );
        Ok(())
    }
}

/// Carries bytes until the sender ends.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    // A connection that breaks has ended as well; the other side hears of it here.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// The same, and notes each piece.
fn pass_on_in_pieces(mut from: &TcpStream, mut to: &TcpStream, pieces: &Pieces) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let piece = &bytes[..count];
        lock(&pieces.0).push(piece.to_vec());
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
