//! Shares out what is scarce among many: each has a few permits, and no one can take those of others.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of permits for each of many keys. Keys of which no permit is taken are forgotten.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    of_each: usize,
    by_key: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    /// This many permits for each key.
    pub(crate) fn of(of_each: usize) -> Shares<K> {
        Shares {
            of_each,
            by_key: Mutex::default(),
        }
    }

    /// Waits for one of the permits of `key`.
    pub(crate) async fn take(&self, key: K) -> io::Result<OwnedSemaphorePermit> {
        permit(&self.share_of(key)).await
    }

    /// All permits of `key`.
    pub(crate) fn share_of(&self, key: K) -> Arc<Semaphore> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, share| Arc::strong_count(share) > 1);
        let fresh = || Arc::new(Semaphore::new(self.of_each));
        Arc::clone(by_key.entry(key).or_insert_with(fresh))
    }
}

/// Waits for one of the permits.
pub(crate) async fn permit(semaphore: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    Arc::clone(semaphore)
        .acquire_owned()
        .await
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_without_permits_taken_is_forgotten() {
        let shares = Shares::of(1);
        let permit = shares.take("one").await.unwrap();
        assert_eq!(shares.share_of("one").available_permits(), 0);
        drop(permit);
        let _other = shares.take("other").await.unwrap();
        let keys: Vec<_> = shares.by_key.lock().unwrap().keys().copied().collect();
        assert_eq!(keys, ["other"]);
    }
}
