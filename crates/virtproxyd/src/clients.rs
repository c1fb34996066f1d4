//! The clients that are there now: how many there may be, who they are, and how one is made to go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gate::stream::Peer;
use tokio::sync::Notify;
use virt_proto::Identity;

/// Clients that have been made to go and have not gone yet. Each takes a turn of its task to do so:
/// while this many are due, nobody new is let in.
const LEAVING_MAX: usize = 100;

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A unix socket.
    Unix,
    /// Plain TCP, or TCP with a security layer of SASL.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// What is known of a client.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) transport: Transport,
    pub(crate) connected: SystemTime,
    pub(crate) read_only: bool,
    pub(crate) peer: Peer,
    /// As far as it is known by now.
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
}

/// The clients of one server of the daemon: `virtproxyd` or `admin`.
pub(crate) struct Clients {
    state: Mutex<State>,
    /// Told when there may be room again.
    room: Notify,
    /// Whose turn it is to find room and enter: of several sockets each would take one place for its
    /// own.
    turn: tokio::sync::Mutex<()>,
    on_dismiss: Mutex<Option<OnDismiss>>,
}

type OnDismiss = Arc<dyn Fn(u64) + Send + Sync>;

#[derive(Debug)]
struct State {
    limits: Ceilings,
    next_id: u64,
    /// Those that stay, by number and so in the order in which they came.
    present: BTreeMap<u64, Arc<Entry>>,
    /// The numbers of those among them that have not authenticated themselves.
    anonymous: BTreeSet<u64>,
    /// How many have been made to go and have not gone yet. They count for nothing else.
    leaving: usize,
}

/// How many there may be; may change at any time.
#[derive(Clone, Copy, Debug)]
struct Ceilings {
    clients: usize,
    /// Zero for no ceiling of their own.
    anonymous: usize,
}

/// One client in the list.
#[derive(Debug)]
struct Entry {
    about: Mutex<About>,
    is_dismissed: AtomicBool,
    dismissed: Notify,
}

/// A client's place in the list, given up on drop.
#[derive(Debug)]
pub(crate) struct Presence {
    id: u64,
    entry: Arc<Entry>,
    clients: Arc<Clients>,
}

/// The right to enter, for one.
#[derive(Debug)]
pub(crate) struct Turn<'a>(
    #[expect(dead_code, reason = "it is held")] tokio::sync::MutexGuard<'a, ()>,
);

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Clients {
    /// A list without clients, in which there may be so many at once. Zero for `anonymous` sets no
    /// ceiling of their own on those that have not authenticated themselves.
    pub(crate) fn new(clients: usize, anonymous: usize) -> Arc<Clients> {
        let state = State {
            limits: Ceilings { clients, anonymous },
            next_id: 1,
            present: BTreeMap::new(),
            anonymous: BTreeSet::new(),
            leaving: 0,
        };
        Arc::new(Clients {
            state: Mutex::new(state),
            room: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            on_dismiss: Mutex::default(),
        })
    }

    /// A place for one more client. Where a ceiling is reached, those that have waited the longest
    /// without authenticating themselves have to go: otherwise those who never do would keep
    /// everyone out.
    pub(crate) fn enter(self: &Arc<Clients>, about: About) -> Result<Presence, Full> {
        let mut state = lock(&self.state);
        if state.leaving >= LEAVING_MAX {
            return Err(Full);
        }
        let make_room = state.who_makes_room(!about.authenticated)?;
        for oldest in &make_room {
            state.dismiss(*oldest);
        }
        let id = state.next_id;
        state.next_id += 1;
        if !about.authenticated {
            state.anonymous.insert(id);
        }
        let entry = Arc::new(Entry {
            about: Mutex::new(about),
            is_dismissed: AtomicBool::new(false),
            dismissed: Notify::new(),
        });
        state.present.insert(id, Arc::clone(&entry));
        drop(state);
        for oldest in make_room {
            self.tell_dismissed(oldest);
        }
        Ok(Presence {
            id,
            entry,
            clients: Arc::clone(self),
        })
    }

    /// The ceilings on clients and on anonymous ones; zero anonymous ones stand for no ceiling.
    pub(crate) fn limits(&self) -> (usize, usize) {
        let limits = lock(&self.state).limits;
        (limits.clients, limits.anonymous)
    }

    /// Changes the ceilings. Those over lower ones stay.
    pub(crate) fn set_limits(&self, clients: usize, anonymous: usize) {
        lock(&self.state).limits = Ceilings { clients, anonymous };
        self.room.notify_waiters();
    }

    /// How many there are, and how many of them have not authenticated themselves. Those that have
    /// been made to go do not count.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.present.len(), state.anonymous.len())
    }

    /// All of them by their numbers, in the order in which they came, without those that have been
    /// made to go.
    pub(crate) fn list(&self) -> Vec<(u64, About)> {
        let state = lock(&self.state);
        let entries = state.present.iter();
        entries
            .map(|(id, entry)| (*id, lock(&entry.about).clone()))
            .collect()
    }

    /// One of them.
    pub(crate) fn find(&self, id: u64) -> Option<About> {
        let state = lock(&self.state);
        state
            .present
            .get(&id)
            .map(|entry| lock(&entry.about).clone())
    }

    /// Makes a client go; says whether there was one of this number. From then on it is in no list.
    pub(crate) fn dismiss(&self, id: u64) -> bool {
        let found = lock(&self.state).dismiss(id);
        if found {
            self.tell_dismissed(id);
        }
        found
    }

    /// Waits until there is room for one more. Those who have not authenticated themselves make room
    /// for others, so that they are no reason to wait. Nobody else finds room before what this gives
    /// is dropped, which is to be once the one has entered. Cancel safe.
    pub(crate) async fn room(&self) -> Turn<'_> {
        let turn = self.turn.lock().await;
        loop {
            let changed = self.room.notified();
            {
                let state = lock(&self.state);
                if state.leaving < LEAVING_MAX && state.who_makes_room(true).is_ok() {
                    return Turn(turn);
                }
            }
            changed.await;
        }
    }

    /// Has `hook` called with the number of each client that is made to go, for clients that nobody
    /// waits with in [`Presence::dismissed`]: the relay engine carries them. It is called outside of
    /// all locks, and takes the place of an earlier one.
    pub(crate) fn on_dismiss(&self, hook: impl Fn(u64) + Send + Sync + 'static) {
        *lock(&self.on_dismiss) = Some(Arc::new(hook));
    }

    fn tell_dismissed(&self, id: u64) {
        let hook = lock(&self.on_dismiss).clone();
        if let Some(hook) = hook {
            hook(id);
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Who has to go before one more fits under the ceilings.
    fn who_makes_room(&self, for_anonymous: bool) -> Result<Vec<u64>, Full> {
        let Ceilings { clients, anonymous } = self.limits;
        let mut count = (self.present.len() + 1).saturating_sub(clients);
        if for_anonymous && anonymous > 0 {
            count = count.max((self.anonymous.len() + 1).saturating_sub(anonymous));
        }
        if count > self.anonymous.len() {
            return Err(Full);
        }
        Ok(self.anonymous.iter().take(count).copied().collect())
    }

    fn dismiss(&mut self, id: u64) -> bool {
        let Some(entry) = self.present.remove(&id) else {
            return false;
        };
        self.anonymous.remove(&id);
        self.leaving += 1;
        entry.is_dismissed.store(true, Ordering::Release);
        entry.dismissed.notify_waiters();
        true
    }
}

impl Presence {
    /// The client's number, which no other client of this server gets.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Notes what has become known of the client.
    pub(crate) fn update(&self, change: impl FnOnce(&mut About)) {
        let mut state = lock(&self.clients.state);
        let mut about = lock(&self.entry.about);
        change(&mut about);
        if about.authenticated {
            state.anonymous.remove(&self.id);
        } else if state.present.contains_key(&self.id) {
            state.anonymous.insert(self.id);
        }
    }

    /// What is known of the client.
    pub(crate) fn about(&self) -> About {
        lock(&self.entry.about).clone()
    }

    /// Waits until the client has to go; at once if it has to already. Cancel safe.
    pub(crate) async fn dismissed(&self) {
        let told = self.entry.dismissed.notified();
        if !self.entry.is_dismissed.load(Ordering::Acquire) {
            told.await;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut state = lock(&self.clients.state);
        state.anonymous.remove(&self.id);
        if state.present.remove(&self.id).is_none() {
            state.leaving = state.leaving.saturating_sub(1);
        }
        drop(state);
        self.clients.room.notify_waiters();
    }
}

/// Nothing that panics is done while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
