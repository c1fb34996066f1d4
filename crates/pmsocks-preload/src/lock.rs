//! The one lock of this library. It is held with all signals blocked, so that no handler of the
//! program can come between and want it again, and fork(2) takes it, so that a child never inherits
//! it locked by a thread that it does not have.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;

thread_local! {
    /// Whether this thread has the lock.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread has the lock: what it closes then are descriptors of our own.
pub(crate) fn is_held() -> bool {
    HELD.get()
}

/// What must be looked at and changed by one thread at a time.
#[repr(C)] // The mutex is beside what it is for: every page of memory costs something when it is first used.
pub(crate) struct Locked<T> {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// The signals that were blocked before [`Locked::hold`].
    before: UnsafeCell<MaybeUninit<libc::sigset_t>>,
    value: UnsafeCell<T>,
}

// SAFETY: the value and the signals are only reached by the thread that has the mutex.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    pub(crate) const fn new(value: T) -> Locked<T> {
        Locked {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            before: UnsafeCell::new(MaybeUninit::zeroed()),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `work` with the value. It must not wait for anything, nor come back here.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        struct Held<'a>(&'a UnsafeCell<libc::pthread_mutex_t>, libc::sigset_t);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                HELD.set(false);
                // SAFETY: this thread locked the mutex, and the set is what it had before.
                unsafe {
                    libc::pthread_mutex_unlock(self.0.get());
                    set_signals(&self.1);
                }
            }
        }
        let before = block_signals();
        // SAFETY: the mutex is initialised and never moves: all values of this type are statics.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        let _held = Held(&self.mutex, before);
        HELD.set(true);
        // SAFETY: this thread has the mutex until `_held` goes.
        work(unsafe { &mut *self.value.get() })
    }

    /// Takes the lock before fork(2).
    pub(crate) fn hold(&self) {
        let before = block_signals();
        // SAFETY: as in `with`; `release` follows in both processes.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            (*self.before.get()).write(before);
        }
    }

    /// Gives it back in both processes, after `hold`.
    pub(crate) fn release(&self) {
        // SAFETY: the thread that forked has the lock, and `hold` has written the signals.
        unsafe {
            let before = (*self.before.get()).assume_init();
            libc::pthread_mutex_unlock(self.mutex.get());
            set_signals(&before);
        }
    }
}

/// Blocks all signals for this thread and gives the ones that were blocked before.
pub(crate) fn block_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are ours and valid for writing.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

/// Sets the signals that are blocked for this thread.
pub(crate) fn set_signals(set: &libc::sigset_t) {
    // SAFETY: the set is valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, ptr::null_mut()) };
}
