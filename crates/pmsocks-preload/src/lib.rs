//! `libpmsocks_preload.so`, which pmsocks(1) has the dynamic linker load into a program before all
//! other libraries. It takes over connect(2) and asks the routes of `pcp_socks.conf` which way a
//! connection goes. Directly: the system's connect(2) is called, and nothing else happens. Through a
//! SOCKS server: the program gets what it would have got without one, a socket that is not connected
//! yet, and later one that is.
//!
//! The difficulty is what lies between. The program's socket is connected to the SOCKS server early,
//! and bytes of the dialogue arrive on it, of which the program must see nothing: not with select,
//! poll or epoll, in no thread. So the socket is put aside, and a *stand-in* takes its descriptor, one
//! end of a pair of unix sockets that is neither readable nor writable (`stand_in`). A thread of our
//! own carries on the dialogues (`helper`). When one is over, the program's own socket, with its
//! options and its flags, is put back at its number before the stand-in wakes those who wait for it.
//! Meanwhile the calls that the program may make on its socket are answered in its place
//! (`exports`).
//!
//! Rules for code here: other people's programs run it, in signal handlers and after fork. A lock is
//! only held with all signals blocked, and never while something is waited for; fork(2) takes it. What
//! a caller's thread runs allocates nothing. Nothing calls what is exported here by its C name: system
//! calls are rustix's, which makes them directly, and the program's next library is in `next`.

#![cfg_attr(test, allow(dead_code, reason = "nothing is exported to tests"))]

mod addresses;
mod clib;
mod commands;
mod connecting;
mod epolls;
mod execs;
mod exports;
mod guard;
mod helper;
mod lock;
mod lookups;
mod names;
mod next;
mod numbers;
mod outcomes;
mod pending;
mod plan;
mod profiles;
mod stand_in;
mod state;

// The compiler's unwinder is linked in, so that a program need not load libgcc_s for this library's
// sake: that is a third of what the library costs at the start of a program.
#[link(name = "gcc_eh", kind = "static", modifiers = "+whole-archive,-bundle")]
unsafe extern "C" {}
