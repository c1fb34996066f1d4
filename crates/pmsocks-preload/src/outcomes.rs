//! What became of sockets that were connected here: where they lead, which the kernel does not know,
//! and why they failed, which it does not know either. A socket is known by its cookie, which the
//! kernel gives to no other one (SO_COOKIE in socket(7)), so that it does not matter what the program
//! does with descriptors, and nothing has to be forgotten when one is closed.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::net::sockopt;

use crate::stand_in::borrow;
use crate::state::STATE;

/// How many sockets are known. Of more, the oldest are forgotten: getpeername(2) then gives the SOCKS
/// server's address.
const MOST: usize = 1024;

/// How many there were ever: most calls end with a look at this.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many failures the program has not heard of yet.
static FAILURES: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Copy)]
struct Outcome {
    cookie: u64,
    target: SocketAddr,
    failure: Option<Errno>,
}

/// All that are known.
#[repr(C)]
pub(crate) struct Outcomes {
    next: usize,
    /// How many places were ever used: the others are never looked at, so that their memory costs
    /// nothing.
    used: usize,
    all: [Option<Outcome>; MOST],
}

impl Outcomes {
    pub(crate) const fn new() -> Outcomes {
        Outcomes {
            all: [None; MOST],
            next: 0,
            used: 0,
        }
    }

    /// Remembers what became of a socket.
    pub(crate) fn add(&mut self, cookie: u64, target: SocketAddr, outcome: Result<(), Errno>) {
        let outcome = Outcome {
            cookie,
            target,
            failure: outcome.err(),
        };
        let known = self.find(cookie).is_some();
        let next = self.next;
        let place = match self.find(cookie) {
            Some(place) => place,
            None => match self.all.get_mut(next) {
                Some(place) => place,
                None => return,
            },
        };
        let before = place.replace(outcome);
        if !known {
            self.next = (next + 1) % MOST;
            self.used = self.used.max(next + 1);
        }
        if before.is_some_and(|before| before.failure.is_some()) {
            FAILURES.fetch_sub(1, Ordering::Relaxed);
        }
        if outcome.failure.is_some() {
            FAILURES.fetch_add(1, Ordering::Relaxed);
        }
        COUNT.fetch_add(1, Ordering::Relaxed);
    }

    fn find(&mut self, cookie: u64) -> Option<&mut Option<Outcome>> {
        self.all
            .iter_mut()
            .take(self.used)
            .find(|place| place.is_some_and(|known| known.cookie == cookie))
    }
}

/// Where the socket at the number leads, if it was connected here.
pub(crate) fn target(fd: RawFd) -> Option<SocketAddr> {
    if fd < 0 || COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let cookie = sockopt::socket_cookie(borrow(fd)).ok()?;
    STATE.with(|state| match state.outcomes.find(cookie) {
        Some(Some(known)) if known.failure.is_none() => Some(known.target),
        _ => None,
    })
}

/// Why the socket at the number could not be connected. It is told once, as SO_ERROR is.
pub(crate) fn take_failure(fd: RawFd) -> Option<Errno> {
    if FAILURES.load(Ordering::Relaxed) == 0 || fd < 0 {
        return None;
    }
    let cookie = sockopt::socket_cookie(borrow(fd)).ok()?;
    let failure = STATE.with(|state| {
        let place = state.outcomes.find(cookie)?;
        let failure = (*place)?.failure?;
        *place = None;
        Some(failure)
    })?;
    FAILURES.fetch_sub(1, Ordering::Relaxed);
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_one_socket_has_one_place() {
        let target: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let mut outcomes = Outcomes::new();
        let most = u64::try_from(MOST).unwrap();
        for cookie in 1..=most {
            outcomes.add(cookie, target, Ok(()));
        }
        outcomes.add(2, target, Err(Errno::CONNREFUSED));
        assert!(outcomes.find(1).is_some());
        outcomes.add(most + 1, target, Ok(()));
        assert!(outcomes.find(1).is_none());
        let second = outcomes.find(2).and_then(|place| *place).unwrap();
        assert_eq!(second.failure, Some(Errno::CONNREFUSED));
    }
}
