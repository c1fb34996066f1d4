//! The clients that are there now: how many there may be, who they are, and how one is made to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;
use virt_proto::Identity;

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
    /// Its address as text (`127.0.0.1;1234`, as libvirt writes it), where it has one.
    pub(crate) address: Option<String>,
    /// As far as it is known by now.
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
}

/// The clients of one server of the daemon: `virtproxyd` or `admin`.
#[derive(Debug)]
pub(crate) struct Clients {
    limits: Ceilings,
    next_id: AtomicU64,
    present: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

/// How many there may be; may change at any time.
#[derive(Debug)]
pub(crate) struct Ceilings {
    clients: AtomicUsize,
    anonymous: AtomicUsize,
}

/// One client in the list.
#[derive(Debug)]
struct Entry {
    about: Mutex<About>,
    dismissed: Notify,
}

/// A client's place in the list, given up on drop.
#[derive(Debug)]
pub(crate) struct Presence {
    id: u64,
    entry: Arc<Entry>,
    clients: Arc<Clients>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Clients {
    pub(crate) fn new(clients: usize, anonymous: usize) -> Arc<Clients> {
        Arc::new(Clients {
            limits: Ceilings {
                clients: AtomicUsize::new(clients),
                anonymous: AtomicUsize::new(anonymous),
            },
            next_id: AtomicU64::new(1),
            present: Mutex::default(),
        })
    }

    /// A place for one more client. Where there are too many that have not authenticated themselves
    /// yet, the one of them that has waited the longest has to go: otherwise those who never do would
    /// keep everyone out.
    pub(crate) fn enter(self: &Arc<Clients>, about: About) -> Result<Presence, Full> {
        let entry = Arc::new(Entry {
            about: Mutex::new(about),
            dismissed: Notify::new(),
        });
        let mut present = lock(&self.present);
        if present.len() >= self.limits.clients.load(Ordering::Relaxed) {
            return Err(Full);
        }
        if !lock(&entry.about).authenticated {
            let anonymous = || {
                present
                    .values()
                    .filter(|other| !lock(&other.about).authenticated)
            };
            if anonymous().count() >= self.limits.anonymous.load(Ordering::Relaxed) {
                match anonymous().next() {
                    Some(oldest) => oldest.dismissed.notify_one(),
                    None => return Err(Full),
                }
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        present.insert(id, Arc::clone(&entry));
        drop(present);
        Ok(Presence {
            id,
            entry,
            clients: Arc::clone(self),
        })
    }

    /// The ceilings on clients and on anonymous ones.
    pub(crate) fn limits(&self) -> (usize, usize) {
        let read = |limit: &AtomicUsize| limit.load(Ordering::Relaxed);
        (read(&self.limits.clients), read(&self.limits.anonymous))
    }

    /// Changes the ceilings. Those over lower ones stay.
    pub(crate) fn set_limits(&self, clients: usize, anonymous: usize) {
        self.limits.clients.store(clients, Ordering::Relaxed);
        self.limits.anonymous.store(anonymous, Ordering::Relaxed);
    }

    /// How many there are, and how many of them have not authenticated themselves.
    pub(crate) fn count(&self) -> (usize, usize) {
        let present = lock(&self.present);
        let anonymous = present
            .values()
            .filter(|entry| !lock(&entry.about).authenticated);
        (present.len(), anonymous.count())
    }

    /// All of them by their numbers, in the order in which they came.
    pub(crate) fn list(&self) -> Vec<(u64, About)> {
        let present = lock(&self.present);
        present
            .iter()
            .map(|(id, entry)| (*id, lock(&entry.about).clone()))
            .collect()
    }

    /// One of them.
    pub(crate) fn find(&self, id: u64) -> Option<About> {
        let present = lock(&self.present);
        present.get(&id).map(|entry| lock(&entry.about).clone())
    }

    /// Makes a client go; says whether there is one of this number.
    pub(crate) fn dismiss(&self, id: u64) -> bool {
        let present = lock(&self.present);
        let found = present.get(&id);
        if let Some(entry) = found {
            entry.dismissed.notify_one();
        }
        found.is_some()
    }
}

impl Presence {
    /// The client's number, which no other client of this server gets.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Notes what has become known of the client.
    pub(crate) fn update(&self, change: impl FnOnce(&mut About)) {
        change(&mut lock(&self.entry.about));
    }

    /// What is known of the client.
    pub(crate) fn about(&self) -> About {
        lock(&self.entry.about).clone()
    }

    /// Waits until the client has to go. Cancel safe.
    pub(crate) async fn dismissed(&self) {
        self.entry.dismissed.notified().await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        lock(&self.clients.present).remove(&self.id);
    }
}

/// Nothing that panics is done while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
