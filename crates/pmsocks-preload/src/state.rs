//! All that this library remembers, behind its one lock, and what fork(2) does with it.

use crate::lock::Locked;
use crate::names::Names;
use crate::outcomes::Outcomes;
use crate::pending::Pending;

/// What is remembered. In each of these, what stands first is used first.
#[repr(C)]
pub(crate) struct State {
    pub(crate) outcomes: Outcomes,
    pub(crate) pending: Pending,
    pub(crate) names: Names,
}

/// The one value of it.
pub(crate) static STATE: Locked<State> = Locked::new(State {
    outcomes: Outcomes::new(),
    pending: Pending::new(),
    names: Names::new(),
});

/// Has fork(2) take the lock, and tells the child that it has no helper.
pub(crate) fn watch_forks() {
    extern "C" fn before() {
        STATE.hold();
    }
    extern "C" fn parent() {
        STATE.release();
    }
    extern "C" fn child() {
        STATE.release();
        STATE.with(|state| {
            state.pending.inherit();
            crate::helper::disown();
        });
    }
    // SAFETY: the functions live as long as the library, which is never unloaded. Without memory for
    // them, a child could find the lock taken; there is nobody here to tell.
    unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
}
