//! A connection that has been made, or has failed, while the program went on: it has the stand-in still,
//! and gets its socket with the first call that asks for it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use super::super::relay::Relay;
use super::super::stand_in;
use super::job::{Finished, Outcome, Place};

/// How long a program may take to ask for its socket before what the target says is carried to the
/// stand-in. Programs ask at once, or not at all.
const GRACE: Duration = Duration::from_millis(200);

/// What the program does with it.
enum Use {
    /// Nothing yet. Without the far end the stand-in is broken.
    None(Option<OwnedFd>, OwnedFd),
    /// The program has its socket; a child of it may have the stand-in still.
    Taken(OwnedFd, OwnedFd),
    /// It writes to the stand-in, or wants to read from it.
    Relayed(Relay),
}

/// A connection that has been made, or has failed.
pub(super) struct Settled {
    /// The cookie of the stand-in's near end.
    pub(super) cookie: u64,
    /// What the program had set on its socket.
    pub(super) flags: OFlags,
    pub(super) outcome: Outcome,
    /// Where the program believes to be connected to.
    pub(super) peer: Vec<u8>,
    used: Use,
    carried_from: Instant,
}

impl Settled {
    /// Makes the stand-in ready, so that whoever waits asks.
    pub(super) fn new(finished: Finished, place: Place, now: Instant) -> Settled {
        let far = if finished.outcome.is_ok() {
            stand_in::release(place.far.as_fd());
            Some(place.far)
        } else {
            stand_in::fail(place.far);
            None
        };
        Settled {
            cookie: place.cookie,
            flags: finished.flags,
            outcome: finished.outcome,
            peer: finished.peer,
            used: Use::None(far, finished.socket),
            carried_from: now + GRACE,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        match &self.used {
            Use::None(_, socket) | Use::Taken(_, socket) => socket.as_fd(),
            Use::Relayed(relay) => relay.socket(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome.is_err()
    }

    /// Whether the program can still get its socket: once bytes were carried, it can't.
    pub(super) fn can_be_taken(&self) -> bool {
        !matches!(self.used, Use::Relayed(_))
    }

    /// The program has its socket. Nothing is left to do if no stand-in can be left.
    pub(super) fn take(self) -> Option<Settled> {
        let used = match self.used {
            Use::None(None, _) => return None,
            Use::None(Some(far), socket) => Use::Taken(far, socket),
            used => used,
        };
        Some(Settled { used, ..self })
    }

    /// What is waited for on the stand-in and on the socket.
    pub(super) fn awaited<'a>(&'a self, nothing: BorrowedFd<'a>, now: Instant) -> [PollFd<'a>; 2] {
        let nothing = || PollFd::from_borrowed_fd(nothing, PollFlags::empty());
        match &self.used {
            Use::None(None, _) => [nothing(), nothing()],
            Use::None(Some(far), socket) if self.carried_from <= now => [
                PollFd::new(far, PollFlags::IN),
                PollFd::new(socket, PollFlags::IN),
            ],
            Use::None(Some(far), _) => [PollFd::new(far, PollFlags::IN), nothing()],
            Use::Taken(far, _) => [PollFd::new(far, PollFlags::IN), nothing()],
            Use::Relayed(relay) => relay.awaited(),
        }
    }

    /// When the socket is to be waited for as well.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let waits = matches!(self.used, Use::None(Some(_), _)) && now < self.carried_from;
        waits.then_some(self.carried_from)
    }

    /// Does what there is to do about what was heard. `None`: it is over.
    pub(super) fn drive(self, heard: [PollFlags; 2]) -> Option<Settled> {
        if heard == [PollFlags::empty(); 2] {
            return Some(self);
        }
        let used = match self.used {
            Use::None(Some(far), socket) => carry(Relay::new(far, socket, false), heard)?,
            Use::Taken(far, socket) => carry(Relay::new(far, socket, true), heard)?,
            Use::Relayed(relay) => carry(relay, heard)?,
            used @ Use::None(None, _) => used,
        };
        Some(Settled { used, ..self })
    }
}

/// Carries on; `None`: it is over, perhaps before it began, because the program has closed all.
fn carry(mut relay: Relay, heard: [PollFlags; 2]) -> Option<Use> {
    relay.drive(heard).then_some(Use::Relayed(relay))
}
