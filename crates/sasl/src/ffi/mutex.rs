//! Mutexes for libsasl2, which has none of its own.

use std::ffi::{c_int, c_void};
use std::sync::{Condvar, Mutex, PoisonError};

use super::raw::{FAIL, OK};

/// A mutex as the library wants it: locked and unlocked by calls.
#[derive(Default)]
struct CallMutex {
    locked: Mutex<bool>,
    unlocked: Condvar,
}

pub(super) type MutexNew = extern "C" fn() -> *mut c_void;
pub(super) type MutexUse = unsafe extern "C" fn(*mut c_void) -> c_int;
pub(super) type MutexFree = unsafe extern "C" fn(*mut c_void);

pub(super) extern "C" fn mutex_new() -> *mut c_void {
    Box::into_raw(Box::<CallMutex>::default()).cast()
}

/// # Safety
/// `mutex` must be null or come from [`mutex_new`].
pub(super) unsafe extern "C" fn mutex_lock(mutex: *mut c_void) -> c_int {
    // SAFETY: as the caller promises; it is only ever shared.
    let Some(mutex) = (unsafe { mutex.cast::<CallMutex>().as_ref() }) else {
        return FAIL;
    };
    let locked = mutex.locked.lock().unwrap_or_else(PoisonError::into_inner);
    let free = mutex.unlocked.wait_while(locked, |locked| *locked);
    *free.unwrap_or_else(PoisonError::into_inner) = true;
    OK
}

/// # Safety
/// `mutex` must be null or come from [`mutex_new`].
pub(super) unsafe extern "C" fn mutex_unlock(mutex: *mut c_void) -> c_int {
    // SAFETY: as the caller promises; it is only ever shared.
    let Some(mutex) = (unsafe { mutex.cast::<CallMutex>().as_ref() }) else {
        return FAIL;
    };
    *mutex.locked.lock().unwrap_or_else(PoisonError::into_inner) = false;
    mutex.unlocked.notify_one();
    OK
}

/// # Safety
/// `mutex` must be null or come from [`mutex_new`], and not be used after this.
pub(super) unsafe extern "C" fn mutex_free(mutex: *mut c_void) {
    if !mutex.is_null() {
        // SAFETY: as the caller promises.
        drop(unsafe { Box::from_raw(mutex.cast::<CallMutex>()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutex_keeps_others_out_until_it_is_unlocked() {
        struct Shared(*mut c_void);
        // SAFETY: a mutex is there to be shared.
        unsafe impl Sync for Shared {}
        let shared = Shared(mutex_new());
        let mutex = &shared;
        let counter = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        // SAFETY: the mutex is freed when all threads have ended.
                        unsafe { mutex_lock(mutex.0) };
                        // Not one atomic step, so that two at once would lose one.
                        let seen = counter.load(std::sync::atomic::Ordering::Relaxed);
                        std::thread::yield_now();
                        counter.store(seen + 1, std::sync::atomic::Ordering::Relaxed);
                        // SAFETY: as above.
                        unsafe { mutex_unlock(mutex.0) };
                    }
                });
            }
        });
        assert_eq!(counter.into_inner(), 4000);
        // SAFETY: it is not used any more.
        unsafe { mutex_free(mutex.0) };
    }
}
