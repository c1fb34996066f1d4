//! What the program calls instead of the C library's own functions. Each lets the next library's do
//! the work, unless a socket that is being connected here, or was, has something to do with it. No
//! panic leaves this library.

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};

use libc::{
    addrinfo, epoll_event, hostent, msghdr, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t,
    size_t, sockaddr, socklen_t, ssize_t,
};
use rustix::io::Errno;

use crate::connecting::{self, Caller, Way};
use crate::guard::guarded;
use crate::lock::is_held;
use crate::pending::is_any;
use crate::state::{STATE, State};
use crate::{addresses, clib, epolls, execs, helper, lookups, next, numbers, outcomes, plan};

/// Exports a function that goes on as another one, which has one more argument: where the call comes
/// from, in the register that is told for it. That is on top of the stack on x86-64 and in a register on
/// ARM; there is no other way to ask.
macro_rules! tell_caller {
    (
        $name:ident($($argument:ident: $kind:ty),*) -> $result:ty,
        $from:ident,
        x86_64: $x86_64:literal, aarch64: $aarch64:literal $(,)?
    ) => {
        /// # Safety
        /// As the function of that name says.
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            std::arch::naked_asm!(concat!("mov ", $x86_64, ", [rsp]"), "jmp {}", sym $from);
            #[cfg(target_arch = "aarch64")]
            std::arch::naked_asm!(concat!("mov ", $aarch64, ", x30"), "b {}", sym $from);
        }

        /// # Safety
        /// As the function of that name says.
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
            // SAFETY: the caller's arguments.
            unsafe { $from($($argument,)* std::ptr::null()) }
        }
    };
}

mod descriptors;
mod names;
mod programs;
mod sockets;
mod transfers;

/// Called by the dynamic linker when the library is loaded, before the program runs.
#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = loaded;

extern "C" fn loaded() {
    guarded((), || {
        next::find_all();
        crate::state::watch_forks();
        plan::begin();
    });
}

/// Whether a stand-in is at the number.
fn is_aside(fd: c_int) -> bool {
    is_any() && STATE.with(|state| own(state, fd)).is_some()
}

/// The number of the program's own socket where a stand-in is in its place.
fn own(state: &mut State, fd: c_int) -> Option<c_int> {
    state.pending.adopt(fd, &mut state.outcomes);
    state.pending.own(fd)
}

/// Makes a call with the program's own socket, wherever that is, and says whether it is put aside. It
/// must not be put back meanwhile: the number would be nobody's then, or somebody else's.
fn with_own(fd: c_int, call: impl FnOnce(c_int, bool) -> c_int) -> c_int {
    if !is_any() {
        return call(fd, false);
    }
    STATE.with(|state| match own(state, fd) {
        Some(number) => call(number, true),
        None => call(fd, false),
    })
}

/// Makes a call that must not come between the moment in which it is looked what a socket has (its
/// flags, its registrations with epoll instances) and the one in which another has that at its number.
fn undisturbed(call: impl FnOnce() -> c_int) -> c_int {
    if is_any() && !is_held() {
        STATE.with(|_| call())
    } else {
        call()
    }
}

/// Waits until no stand-in is at the number any more.
fn settle(fd: c_int) {
    if is_any() {
        guarded((), || connecting::settle(fd));
    }
}

/// The program gives a number up.
fn closing(fd: c_int) {
    if is_any() && !is_held() {
        guarded((), || {
            STATE.with(|state| {
                if state.pending.closed(fd) {
                    helper::wake();
                }
            });
        });
    }
}
