//! The peers: Debian's pmdaroot with two containers, and a socket of our own.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use pcp_proto::root::{Answer, Features, Version};
use pmda_root::RootConnection;
use testbed::{DEBIAN_PMDAROOT, PATIENCE, PmdaRoot, Scratch, UtsBox};

pub(crate) const ALPHA: &str = "a1a1000000000000000000000000000000000000000000000000000000000001";
pub(crate) const BETA: &str = "a1b2000000000000000000000000000000000000000000000000000000000002";

/// Debian's pmdaroot, and containers `alpha` and `beta` whose host name is `inside`.
pub(crate) struct Debian {
    pub(crate) root: PmdaRoot,
    pub(crate) inside: UtsBox,
}

impl Debian {
    pub(crate) fn start() -> Result<Debian> {
        let inside = UtsBox::start("inside")?;
        let root = PmdaRoot::start(DEBIAN_PMDAROOT)?;
        root.docker_container(ALPHA, "alpha", inside.pid())?;
        root.docker_container(BETA, "beta", inside.pid())?;
        Ok(Debian { root, inside })
    }

    /// A connection that waits as long as a test may.
    pub(crate) fn connect(&self) -> Result<RootConnection> {
        let connection = RootConnection::open_within(self.root.socket(), PATIENCE)?;
        Ok(connection)
    }
}

/// A server that does to its one client what a closure says.
pub(crate) struct Rogue {
    scratch: Scratch,
    thread: Option<JoinHandle<()>>,
}

impl Rogue {
    /// One that does not even accept: clients connect to the queue of its socket.
    pub(crate) fn deaf() -> Result<(Rogue, UnixListener)> {
        let scratch = Scratch::new()?;
        let listener = UnixListener::bind(scratch.join("root.socket"))?;
        let thread = None;
        Ok((Rogue { scratch, thread }, listener))
    }

    pub(crate) fn start(behave: impl FnOnce(&mut UnixStream) + Send + 'static) -> Result<Rogue> {
        let (mut rogue, listener) = Rogue::deaf()?;
        rogue.thread = Some(std::thread::spawn(move || {
            if let Ok((mut client, _)) = listener.accept() {
                // A client that hangs is the test's failure, not this thread's.
                let _ = client.set_read_timeout(Some(PATIENCE));
                behave(&mut client);
            }
        }));
        Ok(rogue)
    }

    /// One that greets well and then answers the first request with `answer`, in pieces of `piece`
    /// bytes, and waits for the client to leave.
    pub(crate) fn answering(answer: Vec<u8>, piece: usize) -> Result<Rogue> {
        Rogue::start(move |client| {
            greet(client);
            await_request(client);
            for part in answer.chunks(piece) {
                let _ = client.write_all(part);
            }
            await_end(client);
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.join("root.socket")
    }

    pub(crate) fn connect(&self) -> Result<RootConnection> {
        Ok(RootConnection::open_within(self.path(), PATIENCE)?)
    }

    pub(crate) fn connect_in_a_hurry(&self) -> Result<RootConnection, pmda_root::Error> {
        RootConnection::open_within(self.path(), HURRY)
    }
}

/// Long enough for a server that does its work, and short enough to wait for one that does not.
pub(crate) const HURRY: Duration = Duration::from_millis(300);

impl Drop for Rogue {
    fn drop(&mut self) {
        // One that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn greet(client: &mut UnixStream) {
    let greeting = Answer::Info(Ok(Features::ALL)).encode(Version::V2);
    let _ = client.write_all(&greeting);
}

pub(crate) fn await_request(client: &mut UnixStream) {
    let mut request = [0; 8192];
    let _ = client.read(&mut request);
}

/// Waits until the client has shut its side down.
pub(crate) fn await_end(client: &mut UnixStream) {
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
}
