//! One collector's connection: the bytes that have come, and those that have not gone yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use pcp_proto::root::MAX_LEN;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};

/// How much is read at once: a client with many questions at a time lets others have their turn.
const PIECE: usize = 4096;

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    /// The process that made it, for messages.
    pub(crate) peer: Peer,
    incoming: Vec<u8>,
    outgoing: VecDeque<Answer>,
    pub(crate) state: State,
}

/// Who is at the other end, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) pid: i32,
    pub(crate) uid: u32,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} of user {}", self.pid, self.uid)
    }
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A question.
    Ready,
    /// The state of a container.
    Settling {
        /// When the question came.
        asked: Instant,
        /// When it will be known, or not waited for any more.
        until: Instant,
    },
    /// A process that is being started.
    Starting,
}

#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    sent: usize,
    /// They go with the first byte.
    descriptors: Vec<OwnedFd>,
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Open,
    Closed,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, peer: Peer) -> Client {
        Client {
            socket,
            peer,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            state: State::Ready,
        }
    }

    /// Reads once. Nothing is read while answers have not gone, so that a client who does not take
    /// them takes no memory either.
    pub(crate) fn read(&mut self) -> io::Result<Flow> {
        if !self.wants_to_read() {
            return Ok(Flow::Open);
        }
        let mut piece = [0; PIECE];
        match recv(&self.socket, &mut piece, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Ok(Flow::Closed),
            Ok((_, count)) => {
                self.incoming.extend(piece.iter().take(count));
                Ok(Flow::Open)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Flow::Open),
            Err(error) => Err(error.into()),
        }
    }

    /// What has come and is not answered yet.
    pub(crate) fn questions(&self) -> &[u8] {
        &self.incoming
    }

    /// So many bytes are dealt with.
    pub(crate) fn consume(&mut self, count: usize) {
        self.incoming.drain(..count.min(self.incoming.len()));
        if self.incoming.is_empty() {
            // No memory belongs to a client that says nothing.
            self.incoming = Vec::new();
        }
    }

    /// Sends an answer, or as much of it as goes.
    pub(crate) fn answer(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        self.outgoing.push_back(Answer {
            bytes,
            sent: 0,
            descriptors,
        });
        self.flush()
    }

    /// Sends what has not gone yet, as far as it goes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(answer) = self.outgoing.front_mut() {
            match answer.send(self.socket.as_fd()) {
                Ok(()) if answer.sent < answer.bytes.len() => {}
                Ok(()) => drop(self.outgoing.pop_front()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.shrink_to_fit();
        Ok(())
    }

    /// Whether another question may be answered now.
    pub(crate) fn may_ask(&self) -> bool {
        self.state == State::Ready && self.outgoing.is_empty()
    }

    pub(crate) fn wants_to_read(&self) -> bool {
        self.may_ask() && self.incoming.len() < MAX_LEN
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.outgoing.is_empty()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Answer {
    fn send(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let descriptors: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOBIG);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.sent += sendmsg(socket, &[IoSlice::new(rest)], &mut control, flags)?;
        self.descriptors.clear();
        Ok(())
    }
}
