//! Room for clients: how many there may be, what the descriptors allow, and taking connections
//! calmly when there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::errno::describe;
use crate::listen::{Listener, is_exhaustion};
use crate::stream::{Peer, Stream};

/// Clients over the limit that are listened to for long enough to tell them so. More are closed
/// without a word.
const TURNED_AWAY_AT_ONCE: usize = 64;

/// Descriptors that are not for clients: the log, listeners, loops, pipes, and those being turned
/// away.
const RESERVED_DESCRIPTORS: u64 = 64 + 2 * TURNED_AWAY_AT_ONCE as u64;

/// Descriptors that a client takes: its own connection and the one to its server.
const DESCRIPTORS_PER_CLIENT: u64 = 2;

/// How long accepting rests when the process has no descriptor left.
const REST: Duration = Duration::from_millis(200);

/// Counts clients.
#[derive(Clone, Debug)]
pub struct Admission {
    clients: Arc<Room>,
    turned_away: Arc<Room>,
}

/// A number of places, of which some are taken.
#[derive(Debug)]
struct Room {
    size: AtomicUsize,
    taken: AtomicUsize,
}

/// A client's place, given up on drop.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    over_limit: bool,
}

impl Place {
    /// Whether the client is over the limit, and has this place only to be told so.
    pub fn is_over_limit(&self) -> bool {
        self.over_limit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    fn of(size: usize) -> Arc<Room> {
        Arc::new(Room {
            size: AtomicUsize::new(size),
            taken: AtomicUsize::new(0),
        })
    }

    fn enter(self: &Arc<Room>, over_limit: bool) -> Option<Place> {
        let size = self.size.load(Ordering::Relaxed);
        let one_more = |taken: usize| (taken < size).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Place {
            room: Arc::clone(self),
            over_limit,
        })
    }
}

impl Admission {
    /// Room for `clients` at the same time.
    pub fn new(clients: usize) -> Admission {
        Admission {
            clients: Room::of(clients),
            turned_away: Room::of(TURNED_AWAY_AT_ONCE),
        }
    }

    /// Changes how many clients there may be. Those over a smaller limit stay.
    pub fn set_limit(&self, clients: usize) {
        self.clients.size.store(clients, Ordering::Relaxed);
    }

    /// Clients that are within the limit now.
    pub fn clients(&self) -> usize {
        self.clients.taken.load(Ordering::Relaxed)
    }

    /// A place for one more client; `None` when there is not even one for turning it away.
    pub fn enter(&self) -> Option<Place> {
        self.clients
            .enter(false)
            .or_else(|| self.turned_away.enter(true))
    }
}

/// How many descriptors the process may have open, and so how many clients there can be.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// `None` is no limit.
    limit: Option<u64>,
}

impl Descriptors {
    /// Raises the soft limit to the hard one.
    pub fn raise_limit() -> Descriptors {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let limit = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        Descriptors { limit }
    }

    /// As many clients as are `wanted`, unless the descriptors do not suffice, which the log then
    /// says; at least one.
    pub fn clients(self, wanted: usize) -> usize {
        let Some(limit) = self.limit else {
            return wanted;
        };
        let fit = limit.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_CLIENT;
        let fit = usize::try_from(fit).unwrap_or(usize::MAX).max(1);
        if fit < wanted {
            tracing::info!(
                "at most {fit} clients instead of {wanted}: there may be {limit} descriptors"
            );
        }
        fit.min(wanted)
    }
}

/// Takes connections for as long as it is polled, and gives each to `serve` with its place.
///
/// When descriptors run out it rests and tries again: the connections wait in the queue.
pub async fn accept<S>(listener: &Listener, admission: &Admission, serve: S)
where
    S: Fn(Stream, Peer, Option<Place>),
{
    let always = || std::future::ready(());
    accept_with_room(listener, always, |stream, peer, ()| {
        serve(stream, peer, admission.enter());
    })
    .await;
}

/// As [`accept`], for daemons that count their clients themselves: before a connection is served `room`
/// is awaited, and meanwhile all others wait in the queue. `serve` gets what `room` gave.
pub async fn accept_with_room<R, F, T, S>(listener: &Listener, room: R, serve: S)
where
    R: Fn() -> F,
    F: Future<Output = T>,
    S: Fn(Stream, Peer, T),
{
    let mut exhausted = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if std::mem::take(&mut exhausted) {
                    tracing::info!("accepting on {} again", listener.address());
                }
                let room = room().await;
                serve(stream, peer, room);
            }
            Err(error) if is_exhaustion(&error) => {
                if !std::mem::replace(&mut exhausted, true) {
                    let address = listener.address();
                    let error = describe(&error);
                    tracing::warn!("cannot accept on {address} for now, clients wait: {error}");
                }
                tokio::time::sleep(REST).await;
            }
            // The client gave up before its turn.
            Err(error) => tracing::debug!(target: "context", "a client was gone at once: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_over_the_limit_are_turned_away_and_a_place_comes_back() {
        let admission = Admission::new(1);
        let first = admission.enter();
        assert!(first.as_ref().is_some_and(|place| !place.is_over_limit()));
        let turned_away: Vec<_> = (0..TURNED_AWAY_AT_ONCE)
            .map_while(|_| admission.enter())
            .collect();
        assert_eq!(turned_away.len(), TURNED_AWAY_AT_ONCE);
        assert!(turned_away.iter().all(Place::is_over_limit));
        assert!(admission.enter().is_none());
        assert_eq!(admission.clients(), 1);
        drop(first);
        assert!(
            admission
                .enter()
                .is_some_and(|place| !place.is_over_limit())
        );
    }

    #[test]
    fn a_new_limit_holds_for_those_who_come_after() {
        let admission = Admission::new(1);
        let _first = admission.enter();
        admission.set_limit(2);
        assert!(
            admission
                .enter()
                .is_some_and(|place| !place.is_over_limit())
        );
        admission.set_limit(0);
        assert!(admission.enter().is_some_and(|place| place.is_over_limit()));
    }

    #[test]
    fn clients_never_outnumber_the_descriptors() {
        let fit = |wanted, limit| Descriptors { limit }.clients(wanted);
        assert_eq!(fit(10_000, None), 10_000);
        assert_eq!(fit(10_000, Some(1 << 20)), 10_000);
        assert_eq!(fit(10_000, Some(RESERVED_DESCRIPTORS + 200)), 100);
        assert_eq!(fit(10_000, Some(16)), 1);
    }
}
