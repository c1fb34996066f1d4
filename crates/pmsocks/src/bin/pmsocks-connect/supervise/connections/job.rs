//! One connection in the making, and who waits for it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{connect, connect_unspec};
use socks_conf::Server;
use socks_dial::{Destination, Dial, Settings, Status};

use super::super::address;
use super::super::stand_in::Far;
use super::super::tracee::Caller;
use super::socket::Socket;
use crate::around::Around;

/// How a connection ended.
pub(super) type Outcome = Result<(), Errno>;

/// The stand-in that the program has instead of its socket.
pub(super) struct Place {
    pub(super) far: Far,
    /// The near end's cookie.
    pub(super) cookie: u64,
}

/// A connection in the making.
pub(super) struct Job {
    /// Who waits for the outcome. `None`: the program goes on meanwhile.
    pub(super) caller: Option<Caller>,
    /// `None` where none could be put in place.
    pub(super) place: Option<Place>,
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
    pub(super) caller: Option<Caller>,
    pub(super) place: Option<Place>,
    /// The socket that the program is to have.
    pub(super) socket: OwnedFd,
    /// Whether that is another than its own.
    pub(super) is_replaced: bool,
    pub(super) flags: OFlags,
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
        let is_v6 = socket.is_v6()?;
        let flags = socket.stop_blocking()?;
        let canonical = SocketAddr::new(target.ip().to_canonical(), target.port());
        let destination = Destination::Address(canonical);
        let socket = socket.into_descriptor();
        Ok(Job {
            caller: Some(caller),
            place: None,
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

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.dial.socket()
    }

    pub(super) fn flags(&self) -> OFlags {
        self.flags
    }

    /// Whether what the program has at its number is this job's socket, or the stand-in for it.
    pub(super) fn is_of(&self, cookie: u64) -> bool {
        self.cookie == cookie
            || self
                .place
                .as_ref()
                .is_some_and(|place| place.cookie == cookie)
    }

    /// What is waited for on the socket, and on the stand-in, which tells when the program closes it.
    pub(super) fn awaited<'a>(&'a self, nothing: BorrowedFd<'a>) -> [PollFd<'a>; 2] {
        let far = self
            .place
            .as_ref()
            .map_or(nothing, |place| place.far.as_fd());
        [
            PollFd::from_borrowed_fd(self.dial.socket(), self.events),
            PollFd::from_borrowed_fd(far, PollFlags::empty()),
        ]
    }

    pub(super) fn deadline(&self) -> Instant {
        let patience = self.patience.filter(|_| self.caller.is_some());
        patience.map_or(self.until, |patience| patience.min(self.until))
    }

    /// Whether the socket's own time for the call is over.
    pub(super) fn has_lost_patience(&self, now: Instant) -> bool {
        self.patience.is_some_and(|patience| patience <= now)
    }

    /// Goes on with it. The outcome, if it has come to an end.
    pub(super) fn drive(&mut self, now: Instant, around: &Around) -> Option<Outcome> {
        match self.dial.drive(now, around) {
            Status::Waiting { events, until } => {
                (self.events, self.until) = (events, until);
                None
            }
            Status::Connected(_) => Some(Ok(())),
            Status::Failed(failure) => Some(Err(failure.errno())),
        }
    }

    /// Ends it before its time: the socket is as if it had never been connected.
    pub(super) fn give_up(self, errno: Errno) -> Finished {
        let _ = connect_unspec(self.dial.socket());
        self.finish(Err(errno))
    }

    /// Takes it apart.
    pub(super) fn finish(self, outcome: Outcome) -> Finished {
        let is_replaced = self.dial.is_replaced() && outcome.is_ok();
        let socket = self.dial.into_socket();
        if outcome.is_ok() {
            // The kernel takes note only now that its connection has been waited for: without this, the
            // program's next call would be told so instead of what it should be told (`EISCONN`).
            let _ = connect(&socket, &self.target);
        }
        Finished {
            caller: self.caller,
            place: self.place,
            socket,
            is_replaced,
            flags: self.flags,
            peer: address::encode(self.target, self.is_v6),
            outcome,
        }
    }
}
