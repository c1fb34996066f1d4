//! The clients that are there now: who, since when, and how far. What their sessions have moved is
//! the relay's to tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gate::stream::Peer;
use pcp_proto::greeting::Target;
use serde::{Deserialize, Serialize};

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// It has not named its pmcd yet.
    Greeting,
    /// Its pmcd is being connected to.
    Connecting,
    /// It speaks with its pmcd.
    Relaying,
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) peer: Peer,
    pub(crate) since: SystemTime,
    pub(crate) stage: Stage,
    /// The pmcd, once it is named.
    pub(crate) target: Option<Target>,
}

/// All clients, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    guests: BTreeMap<u64, Guest>,
    next: u64,
}

/// A client's entry, which is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    guests: Guests,
    number: u64,
}

impl Guests {
    /// A client has come.
    pub(crate) fn enter(&self, peer: Peer) -> Presence {
        let guest = Guest {
            peer,
            since: SystemTime::now(),
            stage: Stage::Greeting,
            target: None,
        };
        let mut book = self.lock();
        let number = book.next;
        book.next += 1;
        book.guests.insert(number, guest);
        Presence {
            guests: self.clone(),
            number,
        }
    }

    /// How many there are, and the first `most` of them with their numbers.
    pub(crate) fn list(&self, most: usize) -> (usize, Vec<(u64, Guest)>) {
        let book = self.lock();
        let guests = book.guests.iter().take(most);
        let guests = guests.map(|(number, guest)| (*number, guest.clone()));
        (book.guests.len(), guests.collect())
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Tells this client from all others, those who left included.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// It has named its pmcd, which is being connected to.
    pub(crate) fn connecting(&self, target: &Target) {
        self.note(|guest| {
            guest.stage = Stage::Connecting;
            guest.target = Some(target.clone());
        });
    }

    /// Its session is given to the relay.
    pub(crate) fn relaying(&self) {
        self.note(|guest| guest.stage = Stage::Relaying);
    }

    fn note(&self, change: impl FnOnce(&mut Guest)) {
        if let Some(guest) = self.guests.lock().guests.get_mut(&self.number) {
            change(guest);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.guests.lock().guests.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    #[test]
    fn a_client_is_listed_as_far_as_it_has_come_until_it_leaves() {
        let guests = Guests::default();
        let peer = Peer::Unix { uid: 0, pid: None };
        let (first, second) = (guests.enter(peer), guests.enter(peer));
        let target = Target::new("nas1", NonZeroU16::MIN).unwrap();
        second.connecting(&target);
        let stages = |most| -> Vec<_> {
            let (_, listed) = guests.list(most);
            listed.into_iter().map(|(_, guest)| guest.stage).collect()
        };
        assert_eq!(stages(9), [Stage::Greeting, Stage::Connecting]);
        second.relaying();
        drop(first);
        assert_eq!(stages(9), [Stage::Relaying]);
        assert_eq!(guests.list(9).1[0].1.target, Some(target));
        let (all, listed) = guests.list(0);
        assert_eq!((all, listed.len()), (1, 0));
    }
}
