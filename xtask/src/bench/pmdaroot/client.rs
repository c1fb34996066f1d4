//! A collector that asks for the process ids of containers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use pcp_proto::root::{Answer, ContainerName, Next, Request, Target, Version};

use super::super::proc_fs::Watched;
use super::load::{Container, Key};

/// Bounds each wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than one answer needs.
const SCRATCH: usize = 4096;

/// A connection that was greeted.
pub(super) struct Client {
    stream: UnixStream,
    /// What has come of an answer.
    received: Vec<u8>,
}

/// A request, and what its answer has to say.
#[derive(Clone, Debug)]
pub(super) struct Question {
    request: Vec<u8>,
    pid: u32,
}

impl Question {
    pub(super) fn new(container: Container, by: Key) -> Result<Question> {
        let key = container.key(by);
        let name = ContainerName::new(key.as_bytes())?;
        Ok(Question {
            request: Request::ProcessId(Target::Name(name)).encode(Version::V2),
            pid: container.pid(),
        })
    }
}

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Client> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("cannot bound the wait for an answer")?;
        let mut client = Client {
            stream,
            received: Vec::with_capacity(SCRATCH),
        };
        client.receive(|answer| match answer {
            Answer::Info(Ok(_)) => Ok(()),
            other => bail!("it greets with {other:?}"),
        })?;
        Ok(client)
    }

    /// The process on the other side, which is the one that listens.
    pub(super) fn server(&self) -> Result<Watched> {
        let peer = getsockopt(&self.stream, PeerCredentials).context("cannot tell who listens")?;
        Ok(Watched(u32::try_from(peer.pid())?))
    }

    pub(super) fn ask(&mut self, question: &Question) -> Result<()> {
        self.send(question)?;
        self.await_answer(question)
    }

    pub(super) fn send(&mut self, question: &Question) -> Result<()> {
        let sent = self.stream.write_all(&question.request);
        sent.context("cannot send a request")
    }

    /// Fails unless it is the right one.
    pub(super) fn await_answer(&mut self, question: &Question) -> Result<()> {
        self.receive(|answer| match answer {
            Answer::ProcessId(Ok(found)) => {
                let right = u32::try_from(found.pid) == Ok(question.pid);
                ensure!(right, "process {} instead of {}", found.pid, question.pid);
                Ok(())
            }
            other => bail!("the answer is {other:?}"),
        })
    }

    /// Reads one answer; no other can follow, since nothing else was asked.
    fn receive<T>(&mut self, read: impl FnOnce(Answer<'_>) -> Result<T>) -> Result<T> {
        self.received.clear();
        loop {
            if let Next::Whole { pdu, len, .. } = Answer::next(&self.received)? {
                ensure!(len == self.received.len(), "more came than an answer");
                return read(pdu);
            }
            let mut scratch = [0; SCRATCH];
            let got = self.stream.read(&mut scratch).context("no answer came")?;
            ensure!(got > 0, "the connection was closed");
            self.received.extend(scratch.iter().take(got));
        }
    }
}
