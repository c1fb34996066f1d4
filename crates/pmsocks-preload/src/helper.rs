//! The thread that carries on the dialogues with SOCKS servers. It begins with the first socket that
//! is to be connected, and ends with the last.

use std::ffi::c_void;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use socks_conf::Server;
use socks_dial::{Destination, Dial, Status, Surroundings};

use crate::clib;
use crate::lock::{block_signals, set_signals};
use crate::names;
use crate::pending::{Order, Ticket};
use crate::plan::{Plan, plan};
use crate::stand_in::{borrow, out_of_the_way, stir};
use crate::state::STATE;

/// Room for the resolver's modules, which like large buffers.
const STACK: usize = 512 * 1024;

/// How long a far end is kept for those who look at the near one, at most.
const LINGER: Duration = Duration::from_secs(2);

/// What wakes the helper: an eventfd, or -1 where there is none.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// In a child after fork(2), which has no helper: closes what woke the parent's.
pub(crate) fn disown() {
    let wake = WAKE.swap(-1, Ordering::AcqRel);
    if wake >= 0 {
        // SAFETY: its owner is a thread that this process does not have.
        drop(unsafe { OwnedFd::from_raw_fd(wake) });
    }
}

/// Tells the helper to look for something new. To be called with the lock, which the helper takes
/// before it closes the number.
pub(crate) fn wake() {
    let wake = WAKE.load(Ordering::Acquire);
    if wake >= 0 {
        let _ = rustix::io::write(borrow(wake), &1u64.to_ne_bytes());
    }
}

/// Makes the thread. None of the program's signals is for it.
pub(crate) fn start() -> Result<(), Errno> {
    extern "C" fn main(_: *mut c_void) -> *mut c_void {
        if std::panic::catch_unwind(|| run(true)).is_err() {
            STATE.with(|state| state.pending.bereave());
        }
        ptr::null_mut()
    }
    let before = block_signals();
    let mut thread: libc::pthread_t = 0;
    // SAFETY: the attributes are initialised before they are used and destroyed after; `main` takes
    // nothing and gives nothing.
    let failed = unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&raw mut attributes);
        libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
        libc::pthread_attr_setdetachstate(&raw mut attributes, libc::PTHREAD_CREATE_DETACHED);
        let failed = libc::pthread_create(
            &raw mut thread,
            &raw const attributes,
            main,
            ptr::null_mut(),
        );
        libc::pthread_attr_destroy(&raw mut attributes);
        failed
    };
    set_signals(&before);
    if failed == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw_os_error(failed))
    }
}

/// One dialogue.
struct Work {
    ticket: Ticket,
    dial: Dial,
    far: RawFd,
    events: PollFlags,
    until: Instant,
    ready: bool,
}

/// A far end that somebody may still look at the other end of: a thread in poll(2) or select(2), which
/// looks at the socket that is there now whenever it is woken, but is woken only by the stand-in.
pub(crate) struct Kept {
    pub(crate) far: OwnedFd,
    /// The program's number, if what happens to the socket there is to wake them.
    pub(crate) fd: Option<RawFd>,
}

/// With the time at which it is given up, or, where there is a number, looked at again.
struct Watched {
    kept: Kept,
    until: Instant,
}

impl Watched {
    fn is_watching(&self, now: Instant) -> Option<RawFd> {
        self.kept.fd.filter(|_| self.until <= now)
    }
}

/// What wakes those who wait for input.
const INPUT: PollFlags = PollFlags::IN.union(PollFlags::PRI).union(PollFlags::RDHUP);

/// For how long it is not looked at a socket after those who wait for it have been woken: they may
/// wait for something else.
const PAUSE: Duration = Duration::from_millis(20);

/// Carries on every dialogue until there is none. A caller that does it for want of a thread does not
/// stay for those who look at a stand-in: it is one of them itself.
pub(crate) fn run(stays: bool) {
    // With the lock, so that a child after fork(2) has both the descriptor and its number, or neither.
    let wake = STATE.with(|_| {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .and_then(out_of_the_way)
            .ok();
        let number = wake.as_ref().map_or(-1, OwnedFd::as_raw_fd);
        WAKE.store(number, Ordering::Release);
        wake
    });
    let mut works = Vec::new();
    let mut kept = Vec::new();
    loop {
        while let Some(order) = STATE.with(|state| state.pending.order()) {
            works.extend(begin(order));
        }
        carry_on(&mut works, &mut kept);
        if !stays {
            kept.clear();
        }
        let now = Instant::now();
        kept.retain(|one: &Watched| one.kept.fd.is_some() || one.until > now);
        if works.is_empty() && kept.is_empty() {
            let ends = STATE.with(|state| {
                let ends = state.pending.may_end();
                if ends {
                    WAKE.store(-1, Ordering::Release);
                }
                ends
            });
            if ends {
                return;
            }
            continue;
        }
        wait(wake.as_ref(), &mut works, &mut kept);
    }
}

/// The dialogues for a socket.
pub(crate) fn dial(
    plan: &Plan,
    socket: OwnedFd,
    target: SocketAddr,
    servers: &[Server],
    since: Instant,
) -> Dial {
    let (address, port) = (target.ip(), target.port());
    let destination = match names::name(address) {
        Some(host) => Destination::Name { host, port },
        None => Destination::Address(SocketAddr::new(address.to_canonical(), port)),
    };
    Dial::new(socket, destination, servers, &plan.settings, since)
}

fn begin(order: Order) -> Option<Work> {
    let Order {
        ticket,
        socket,
        far,
        target,
        servers,
        since,
    } = order;
    Some(Work {
        ticket,
        dial: dial(plan().ok()?, socket, target, servers, since),
        far,
        events: PollFlags::empty(),
        until: since,
        ready: true,
    })
}

/// Drives what is ready, and settles what is done.
fn carry_on(works: &mut Vec<Work>, kept: &mut Vec<Watched>) {
    let mut index = 0;
    while let Some(work) = works.get_mut(index) {
        let now = Instant::now();
        if !STATE.with(|state| state.pending.is_wanted(work.ticket)) {
            works.swap_remove(index);
            continue;
        }
        if !work.ready && now < work.until {
            index += 1;
            continue;
        }
        let outcome = match work.dial.drive(now, &Around) {
            Status::Waiting { events, until } => {
                work.events = events;
                work.until = until;
                work.ready = false;
                index += 1;
                continue;
            }
            Status::Connected(_) => Ok(()),
            Status::Failed(failure) => Err(failure.errno()),
        };
        let work = works.swap_remove(index);
        let far = STATE.with(|state| {
            let socket = work.dial.into_socket();
            state
                .pending
                .settle(work.ticket, socket, outcome, &mut state.outcomes)
        });
        kept.extend(far.map(|kept| {
            let now = Instant::now();
            let until = kept.fd.map_or(now + LINGER, |_| now);
            Watched { kept, until }
        }));
    }
}

/// Waits until one of them can go on, or is not wanted any more.
fn wait(wake: Option<&OwnedFd>, works: &mut Vec<Work>, kept: &mut Vec<Watched>) {
    let now = Instant::now();
    let next = works
        .iter()
        .map(|work| work.until)
        .chain(
            kept.iter()
                .filter(|one| one.is_watching(now).is_none())
                .map(|one| one.until),
        )
        .min();
    let patience = next.map_or(LINGER, |next| next.saturating_duration_since(now));
    // Without anything to be woken by, it looks for new work now and then.
    let patience = if wake.is_some() {
        patience
    } else {
        patience.min(Duration::from_millis(5))
    };
    let timeout = Timespec::try_from(patience + Duration::from_micros(50)).ok();
    let mut ready: Vec<PollFd<'_>> = Vec::with_capacity(2 * (works.len() + kept.len()) + 1);
    for work in works.iter() {
        ready.push(PollFd::from_borrowed_fd(work.dial.socket(), work.events));
        ready.push(PollFd::from_borrowed_fd(
            borrow(work.far),
            PollFlags::empty(),
        ));
    }
    for one in kept.iter() {
        let far = one.kept.far.as_fd();
        ready.push(PollFd::from_borrowed_fd(far, PollFlags::empty()));
        ready.push(match one.is_watching(now) {
            Some(fd) => PollFd::from_borrowed_fd(borrow(fd), INPUT),
            None => PollFd::from_borrowed_fd(far, PollFlags::empty()),
        });
    }
    if let Some(wake) = wake {
        ready.push(PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN));
    }
    if poll(&mut ready, timeout.as_ref()).is_err() {
        return;
    }
    let events: Vec<PollFlags> = ready.iter().map(PollFd::revents).collect();
    drop(ready);
    let mut events = events.into_iter();
    let mut gone = Vec::new();
    for work in works.iter_mut() {
        work.ready = events.next().is_some_and(|events| !events.is_empty());
        if events
            .next()
            .is_some_and(|events| events.contains(PollFlags::HUP))
        {
            gone.push(work.ticket);
        }
    }
    kept.retain_mut(|one| {
        let far = events.next().unwrap_or(PollFlags::empty());
        let socket = events.next().unwrap_or(PollFlags::empty());
        if socket.contains(PollFlags::NVAL) {
            one.kept.fd = None;
            one.until = now + LINGER;
        } else if one.is_watching(now).is_some() && !socket.is_empty() {
            stir(&one.kept.far);
            one.until = Instant::now() + PAUSE;
        }
        !far.contains(PollFlags::HUP)
    });
    if events.next().is_some_and(|events| !events.is_empty())
        && let Some(wake) = wake
    {
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    // First: a child closes the sockets of those that are not forgotten.
    STATE.with(|state| gone.iter().for_each(|ticket| state.pending.forget(*ticket)));
    works.retain(|work| !gone.contains(&work.ticket));
}

/// What the dialogues need of this process.
pub(crate) struct Around;

impl Surroundings for Around {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        // What it says was handed on. Elsewhere, the name could be that of another machine.
        if plan().is_ok_and(|plan| plan.has_name_server) {
            return Err(io::Error::other(
                "only pmsocks itself asks the name server of SOCKS_NS, when it runs a program",
            ));
        }
        crate::lookups::really(|| {
            let found = (host, 0).to_socket_addrs()?;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            Ok(addresses)
        })
    }

    fn login(&self) -> String {
        let uid = rustix::process::geteuid().as_raw();
        clib::login(uid).unwrap_or_else(|| uid.to_string())
    }
}
