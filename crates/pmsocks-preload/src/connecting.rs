//! connect(2): which way, and the way through a SOCKS server.

use std::ffi::c_void;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketType, recv};
use socks_conf::{Action, Server};
use socks_dial::{Status, print_banner, report};

use crate::names::{self, Known};
use crate::pending::{self, Begun, Ticket};
use crate::plan::{Destination, Plan, plan};
use crate::stand_in::{borrow, briefly_aside, put};
use crate::state::STATE;
use crate::{clib, commands, helper, next, outcomes, profiles};

/// What becomes of a call.
pub(crate) enum Way {
    /// It is the system's.
    Pass,
    /// It is done.
    Done(Result<(), Errno>),
}

/// The address that a call returns to.
#[derive(Clone, Copy)]
pub(crate) struct Caller(pub(crate) *const c_void);

impl Caller {
    /// Whether the call comes from libpcp.
    pub(crate) fn is_libpcp(self) -> bool {
        clib::object_of(self.0).is_some_and(|path| {
            let path = path.to_bytes();
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            name.starts_with(b"libpcp.so")
        })
    }
}

/// TCP's state of a socket that is not connected and not about to be (`TCP_CLOSE` in the kernel's
/// tcp_states.h).
const NOT_CONNECTED: u8 = 7;

/// Decides which way a connection goes, and begins it if that is through a SOCKS server.
pub(crate) fn connect(fd: RawFd, target: SocketAddr, caller: Caller) -> Way {
    greet();
    if pending::is_any()
        && let Some(done) = again(fd)
    {
        return Way::Done(done);
    }
    if let Some(failure) = outcomes::take_failure(fd) {
        return Way::Done(Err(failure));
    }
    let plan = match plan() {
        Ok(plan) => plan,
        Err(_) if !is_tcp(fd) => return Way::Pass,
        Err(errno) => return Way::Done(Err(errno)),
    };
    route(plan, fd, target, caller)
}

fn route(plan: &'static Plan, fd: RawFd, target: SocketAddr, caller: Caller) -> Way {
    let known = names::known(target.ip(), plan.routes.has_names());
    let (address, name) = match &known {
        Known::Place(name) => (None, Some(name.as_str())),
        Known::Resolved(name) => (Some(target.ip()), Some(name.as_str())),
        Known::Nothing => (Some(target.ip()), None),
        Known::Forgotten => return Way::Done(Err(Errno::HOSTUNREACH)),
    };
    let destination = Destination {
        address,
        name,
        port: target.port(),
    };
    let decision = plan.decide(&destination);
    let direct = decision.action == Action::Direct;
    if (!direct || decision.command.is_some()) && !is_tcp(fd) {
        return Way::Pass;
    }
    if let Some(command) = decision.command {
        commands::run(command, &destination);
    }
    let say = |what: &str| {
        if plan.settings.debug {
            let line = decision
                .line
                .map_or(String::from("no line"), |line| format!("line {line}"));
            let host = name.map_or_else(|| target.ip().to_string(), str::to_owned);
            let file = plan.settings.routes_file.display();
            report(&format_args!(
                "{host} port {}: {what} ({line} of {file})",
                target.port()
            ));
        }
    };
    match decision.action {
        Action::Direct if address.is_none() => {
            say("a direct route, but only a SOCKS server could resolve the name");
            Way::Done(Err(Errno::HOSTUNREACH))
        }
        Action::Direct => {
            say("direct");
            Way::Pass
        }
        Action::Deny => {
            say("denied");
            Way::Done(Err(Errno::ACCESS))
        }
        Action::Sockd(_) if !is_unconnected(fd) => Way::Pass,
        Action::Sockd(servers) => {
            say("through a SOCKS server");
            Way::Done(if caller.is_libpcp() {
                at_once(plan, fd, target, servers)
            } else {
                begin(fd, target, servers)
            })
        }
    }
}

/// A second call for a socket that is being connected.
fn again(fd: RawFd) -> Option<Result<(), Errno>> {
    STATE.with(|state| state.pending.adopt(fd, &mut state.outcomes));
    let ticket = STATE.with(|state| state.pending.ticket(fd))?;
    if fcntl_getfl(borrow(fd)).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)) {
        return Some(Err(Errno::ALREADY));
    }
    match STATE.with(|state| state.pending.wait(fd))? {
        Ok(wait_on) => Some(wait(&wait_on, ticket)),
        Err(errno) => Some(Err(errno)),
    }
}

/// connect(2) with the address that ends a connection, for a socket that may be being connected.
pub(crate) fn give_up(fd: RawFd) -> Way {
    let is_given_up = STATE.with(|state| {
        let is_given_up = state.pending.give_up(fd);
        helper::wake();
        is_given_up
    });
    if is_given_up {
        Way::Done(Ok(()))
    } else {
        Way::Pass
    }
}

fn begin(fd: RawFd, target: SocketAddr, servers: &'static [Server]) -> Result<(), Errno> {
    let patience = sockopt::socket_timeout(borrow(fd), Timeout::Send)?;
    let begun = STATE.with(|state| {
        let begun = state.pending.begin(fd, target, servers)?;
        helper::wake();
        Ok::<_, Errno>(begun)
    })?;
    let Begun {
        wait_on,
        ticket,
        needs_helper,
    } = begun;
    if needs_helper && helper::start().is_err() {
        // Without a thread for it, the caller's has to do.
        helper::run(false);
    }
    match wait_on {
        None => Err(Errno::INPROGRESS),
        Some(wait_on) => {
            sockopt::set_socket_timeout(&wait_on, Timeout::Recv, patience)?;
            wait(&wait_on, ticket)
        }
    }
}

/// Connects the socket before the call returns, for libpcp. It sets a socket not to block, connects it,
/// and then waits for 5 seconds whatever PMCD_CONNECT_TIMEOUT says. So it can as well wait in connect(2),
/// for as long as that variable allows, and nothing has to stand in for the socket meanwhile.
fn at_once(plan: &Plan, fd: RawFd, target: SocketAddr, servers: &[Server]) -> Result<(), Errno> {
    let flags = fcntl_getfl(borrow(fd))?;
    let waits = !flags.contains(OFlags::NONBLOCK);
    if waits {
        fcntl_setfl(borrow(fd), flags | OFlags::NONBLOCK)?;
    }
    let mut dial = helper::dial(plan, briefly_aside(fd)?, target, servers, Instant::now());
    let outcome = loop {
        match dial.drive(Instant::now(), &helper::Around) {
            Status::Connected(_) => break Ok(()),
            Status::Failed(failure) => break Err(failure.errno()),
            Status::Waiting { events, until } => {
                let patience = until.saturating_duration_since(Instant::now());
                let timeout = Timespec::try_from(patience + Duration::from_micros(50)).ok();
                // A signal's handler runs, and the connection goes on.
                let _ = poll(&mut [PollFd::new(&dial.socket(), events)], timeout.as_ref());
            }
        }
    };
    if outcome.is_ok() {
        if dial.is_replaced() {
            put(dial.socket(), fd)?;
        }
        let cookie = sockopt::socket_cookie(dial.socket())?;
        STATE.with(|state| state.outcomes.add(cookie, target, outcome));
        profiles::expect();
    }
    if waits {
        fcntl_setfl(borrow(fd), flags)?;
    }
    outcome
}

/// Waits for the outcome as connect(2) does: a signal's handler ends it unless SA_RESTART is set for
/// the signal, and so does the socket's own timeout for sending. The kernel sees to both.
fn wait(wait_on: &OwnedFd, ticket: Ticket) -> Result<(), Errno> {
    let mut word = [0; 4];
    match recv(wait_on, &mut word, RecvFlags::empty()) {
        Ok((4, _)) => outcome(word),
        Ok(_) => Err(Errno::CONNABORTED),
        Err(errno) => {
            STATE.with(|state| state.pending.leave(ticket));
            if let Ok((4, _)) = recv(wait_on, &mut word, RecvFlags::DONTWAIT) {
                return outcome(word);
            }
            Err(if errno == Errno::AGAIN {
                Errno::INPROGRESS
            } else {
                errno
            })
        }
    }
}

fn outcome(word: [u8; 4]) -> Result<(), Errno> {
    match i32::from_ne_bytes(word) {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(errno)),
    }
}

/// For calls that cannot be answered while a socket is being connected: waits until it is not.
pub(crate) fn settle(fd: RawFd) {
    let Some(ticket) = STATE.with(|state| state.pending.ticket(fd)) else {
        return;
    };
    let Some(Ok(wait_on)) = STATE.with(|state| state.pending.wait(fd)) else {
        return;
    };
    let mut ready = [PollFd::new(&wait_on, PollFlags::IN)];
    let _ = retry_on_intr(|| poll(&mut ready, None));
    STATE.with(|state| state.pending.leave(ticket));
}

/// Before a transfer: where it would block on a stand-in, it is to block until that is gone, since
/// what goes into a stand-in is lost.
pub(crate) fn settle_unless(fd: RawFd, nonblocking: bool) {
    STATE.with(|state| state.pending.adopt(fd, &mut state.outcomes));
    let is_nonblocking =
        || fcntl_getfl(borrow(fd)).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
    if fd >= 0 && !nonblocking && !is_nonblocking() {
        settle(fd);
    }
}

/// Whether a socket is one of TCP: all others are none of ours.
pub(crate) fn is_tcp(fd: RawFd) -> bool {
    let fd = borrow(fd);
    let of_the_internet = |family| family == AddressFamily::INET || family == AddressFamily::INET6;
    sockopt::socket_type(fd) == Ok(SocketType::STREAM)
        && sockopt::socket_domain(fd).is_ok_and(of_the_internet)
}

fn is_unconnected(fd: RawFd) -> bool {
    let mut information = [0u8; 8];
    let mut length: libc::socklen_t = 8;
    // SAFETY: the buffer and its length are ours; the state is its first byte (tcp(7), TCP_INFO).
    let failed = unsafe {
        next::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            information.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [state, ..] = information;
    failed != 0 || state == NOT_CONNECTED
}

/// `SOCKS_BANNER`: says once that this library is there.
fn greet() {
    static GREETED: AtomicBool = AtomicBool::new(false);
    if GREETED.load(Ordering::Relaxed) || GREETED.swap(true, Ordering::Relaxed) {
        return;
    }
    if plan().is_ok_and(|plan| plan.settings.banner) {
        let banner = concat!("pmsocks (gatehouse) ", env!("CARGO_PKG_VERSION"), "\n");
        print_banner(banner);
    }
}
