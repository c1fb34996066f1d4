//! What stands between the program and our own work: no panic leaves it, and no cancellation comes in.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;

use crate::clib;

// The libc crate has neither for glibc (pthread.h).
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Runs `work`; should it panic, the call fails.
///
/// A thread that is cancelled meanwhile (pthread_cancel(3)) is not cancelled in here: glibc unwinds its
/// stack, and ends the program if somebody catches that. What blocks and is the program's own call is
/// therefore made outside of this, so that it can be cancelled as ever.
pub(crate) fn guarded<T>(failed: T, work: impl FnOnce() -> T) -> T {
    let mut before = PTHREAD_CANCEL_DISABLE;
    // SAFETY: the state is one that there is, and the other is ours to write to.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        clib::set_errno(Errno::IO);
        failed
    });
    // SAFETY: the state is the one that it was in.
    unsafe { pthread_setcancelstate(before, &raw mut before) };
    done
}
