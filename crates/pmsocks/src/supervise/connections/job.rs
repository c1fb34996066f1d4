//! One connection in the making, and who waits for it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{connect, connect_unspec, sockopt};
use socks_conf::Server;
use socks_dial::{Destination, Dial, Settings, Status};

use super::super::address;
use super::super::ffi;
use super::super::tracee::Tracee;
use super::socket::{Socket, set_flags};
use crate::around::Around;

/// A thread that waits for an answer, and the descriptor that its call is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) id: u64,
    pub(super) tracee: Tracee,
    pub(super) number: RawFd,
}

/// How a connection ended.
pub(super) type Outcome = Result<(), Errno>;

/// A connection in the making.
pub(super) struct Job {
    caller: Caller,
    dial: Dial,
    cookie: u64,
    target: SocketAddr,
    /// What the program's own socket is of; another may have to take its place.
    is_v6: bool,
    /// What the program has set on its socket.
    flags: OFlags,
    /// When the socket's own time is over.
    patience: Option<Instant>,
    events: PollFlags,
    until: Instant,
}

/// One that has ended.
pub(super) struct Finished {
    pub(super) caller: Caller,
    /// That of the socket which the program has now, unless it could not be asked.
    pub(super) cookie: Option<u64>,
    /// Where the program believes to be connected to.
    pub(super) peer: Vec<u8>,
    pub(super) outcome: Outcome,
}

impl Job {
    pub(super) fn new(
        caller: Caller,
        socket: Socket,
        target: SocketAddr,
        servers: &[Server],
        settings: &Settings,
        now: Instant,
    ) -> Result<Job, Errno> {
        let cookie = socket.cookie()?;
        let patience = socket
            .patience()?
            .and_then(|patience| now.checked_add(patience));
        let flags = socket.stop_blocking()?;
        let is_v6 = socket.is_v6()?;
        let canonical = SocketAddr::new(target.ip().to_canonical(), target.port());
        let destination = Destination::Address(canonical);
        let socket = socket.into_descriptor();
        Ok(Job {
            caller,
            dial: Dial::new(socket, destination, servers, settings, now),
            cookie,
            target,
            is_v6,
            flags,
            patience: patience.filter(|_| !flags.contains(OFlags::NONBLOCK)),
            events: PollFlags::empty(),
            until: now,
        })
    }

    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller
    }

    pub(super) fn set_caller(&mut self, caller: Caller) {
        self.caller = caller;
    }

    pub(super) fn awaited(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.dial.socket(), self.events)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.patience
            .map_or(self.until, |patience| patience.min(self.until))
    }

    /// Goes on with it. The outcome, if it has come to an end.
    pub(super) fn drive(&mut self, now: Instant, around: &Around) -> Option<Outcome> {
        if self.patience.is_some_and(|patience| patience <= now) {
            // The kernel would go on connecting, but the program could not be kept from the dialogue.
            let _ = connect_unspec(self.dial.socket());
            return Some(Err(Errno::INPROGRESS));
        }
        match self.dial.drive(now, around) {
            Status::Waiting { events, until } => {
                (self.events, self.until) = (events, until);
                None
            }
            Status::Connected(_) => Some(Ok(())),
            Status::Failed(failure) => Some(Err(failure.errno())),
        }
    }

    /// Gives the program its socket back.
    pub(super) fn finish(self, listener: BorrowedFd<'_>, outcome: Outcome) -> Finished {
        let is_replaced = self.dial.is_replaced();
        let socket = self.dial.into_socket();
        if outcome.is_ok() {
            // The kernel takes note only now that its connection has been waited for: without this, the
            // program's next call would be told so instead of what it should be told (`EISCONN`).
            let _ = connect(&socket, &self.target);
        }
        // It can't fail: it is an open socket.
        let _ = set_flags(&socket, self.flags);
        let mut finished = Finished {
            caller: self.caller,
            cookie: sockopt::socket_cookie(&socket).ok(),
            peer: address::encode(self.target, self.is_v6),
            outcome,
        };
        if is_replaced && outcome.is_ok() {
            let Caller { id, tracee, number } = self.caller;
            let closes = tracee.closes_on_exec(number);
            if ffi::replace(listener, id, socket.as_fd(), number, closes).is_err() {
                finished.cookie = Some(self.cookie);
                finished.outcome = Err(Errno::CONNABORTED);
            }
        }
        finished
    }
}
