//! A connection that has been made, or has failed, while the program went on: it has the stand-in still,
//! and gets its socket with the first call that asks for it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use super::super::relay::Relay;
use super::super::stand_in::Far;
use super::job::{Finished, Outcome, Place};

/// How long a program may take to ask for its socket before what the target says is carried to the
/// stand-in. Programs ask at once, or not at all.
const GRACE: Duration = Duration::from_millis(20);

/// What the program does with it.
enum Use {
    /// Nothing yet. It has failed, and the stand-in is broken.
    Failed(OwnedFd),
    /// Nothing yet.
    Connected(Far, OwnedFd),
    /// The program has its socket. A thread of it may still wait on the stand-in; what is known already is
    /// that a child has that.
    Taken {
        far: Far,
        socket: OwnedFd,
        child_has_it: bool,
    },
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
    /// Until then the socket is left alone: who has the stand-in is just about to ask, or to lose it.
    carried_from: Instant,
}

impl Settled {
    /// Makes the stand-in ready, so that whoever waits asks.
    pub(super) fn new(finished: Finished, place: Place, now: Instant) -> Settled {
        let Place { mut far, cookie } = place;
        let used = if finished.outcome.is_ok() {
            far.release();
            Use::Connected(far, finished.socket)
        } else {
            far.fail();
            Use::Failed(finished.socket)
        };
        Settled {
            cookie,
            flags: finished.flags,
            outcome: finished.outcome,
            peer: finished.peer,
            used,
            carried_from: now + GRACE,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        match &self.used {
            Use::Failed(socket) | Use::Connected(_, socket) | Use::Taken { socket, .. } => {
                socket.as_fd()
            }
            Use::Relayed(relay) => relay.socket(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome.is_err()
    }

    /// Whether bytes were carried: then the program does not get its socket any more.
    pub(super) fn is_relayed(&self) -> bool {
        matches!(self.used, Use::Relayed(_))
    }

    /// The program has its socket. Nothing is left to do if no stand-in can be left.
    pub(super) fn take(self) -> Option<Settled> {
        let used = match self.used {
            Use::Failed(_) => return None,
            Use::Connected(far, socket) => Use::Taken {
                far,
                socket,
                child_has_it: false,
            },
            used => used,
        };
        let carried_from = Instant::now() + GRACE;
        Some(Settled {
            used,
            carried_from,
            ..self
        })
    }

    /// What is waited for on the stand-in and on the socket.
    pub(super) fn awaited<'a>(&'a self, nothing: BorrowedFd<'a>, now: Instant) -> [PollFd<'a>; 2] {
        let nothing = || PollFd::from_borrowed_fd(nothing, PollFlags::empty());
        match &self.used {
            Use::Failed(_) => [nothing(), nothing()],
            Use::Connected(far, _) | Use::Taken { far, .. } if now < self.carried_from => {
                [PollFd::new(far, PollFlags::IN), nothing()]
            }
            Use::Taken {
                far,
                child_has_it: true,
                ..
            } => [PollFd::new(far, PollFlags::IN), nothing()],
            Use::Connected(far, socket) | Use::Taken { far, socket, .. } => [
                PollFd::new(far, PollFlags::IN),
                PollFd::new(socket, PollFlags::IN),
            ],
            Use::Relayed(relay) => {
                let ends = [relay.far(), relay.socket()].into_iter();
                let mut ends = ends.zip(relay.interest()).map(|(end, events)| {
                    events.map_or_else(nothing, |events| PollFd::from_borrowed_fd(end, events))
                });
                [0, 1].map(|_| ends.next().unwrap_or_else(nothing))
            }
        }
    }

    /// When the socket is to be waited for as well.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let has_far = matches!(self.used, Use::Connected(..) | Use::Taken { .. });
        let waits = has_far && now < self.carried_from;
        waits.then_some(self.carried_from)
    }

    /// Does what there is to do about what was heard. `None`: it is over.
    pub(super) fn drive(self, heard: [PollFlags; 2]) -> Option<Settled> {
        let [of_far, of_socket] = heard;
        if of_far.is_empty() && of_socket.is_empty() {
            return Some(self);
        }
        let mut relay = match self.used {
            Use::Failed(_) => return Some(self),
            Use::Connected(far, socket) => Relay::new(far.into_socket(), socket, false),
            Use::Taken { far, socket, .. } if of_far.is_empty() => {
                return hear_of_target(far, socket).map(|used| Settled { used, ..self });
            }
            Use::Taken { far, socket, .. } => Relay::new(far.into_socket(), socket, true),
            Use::Relayed(relay) => relay,
        };
        // It may be over before it has begun, because the program has closed all.
        let used = relay.drive(of_far).then_some(Use::Relayed(relay))?;
        Some(Settled { used, ..self })
    }
}

/// The target has said something, and somebody has the near end still.
fn hear_of_target(far: Far, socket: OwnedFd) -> Option<Use> {
    if far.is_somewhere() {
        return Some(Use::Taken {
            far,
            socket,
            child_has_it: true,
        });
    }
    // It is a thread that waits: once woken, it looks at what is at the number now.
    far.end();
    None
}
