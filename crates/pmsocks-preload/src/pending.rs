//! The sockets that are being connected.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use rustix::net::{connect_unspec, sockopt};
use socks_conf::Server;

use crate::epolls::Registrations;
use crate::helper::Kept;
use crate::numbers::Numbers;
use crate::outcomes::Outcomes;
use crate::stand_in::{StandIn, aside, borrow, put, release, tell};

/// How many may be in the making at the same time; for more, connect(2) is EAGAIN.
const MOST: usize = 512;

/// How many there are: most calls end with a look at this.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What makes an entry unlike every other one before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What a helper needs to begin.
pub(crate) struct Order {
    pub(crate) ticket: Ticket,
    pub(crate) socket: OwnedFd,
    pub(crate) far: RawFd,
    pub(crate) target: SocketAddr,
    pub(crate) servers: &'static [Server],
    pub(crate) since: Instant,
}

/// One socket that is being connected.
struct Entry {
    ticket: Ticket,
    /// The program's numbers, where the stand-in is.
    numbers: Numbers,
    /// The stand-in's inode.
    inode: u64,
    /// The program's socket, until a helper takes it.
    socket: Option<OwnedFd>,
    /// A number for it that is good as long as the entry is there.
    own: RawFd,
    /// A child after fork(2) has none, so that only the parent's tells its near end something.
    far: Option<OwnedFd>,
    waiters: usize,
    target: SocketAddr,
    servers: &'static [Server],
    since: Instant,
    /// A parent process is at it, not this one.
    inherited: bool,
}

/// All of them.
#[repr(C)]
pub(crate) struct Pending {
    last: u64,
    process: Option<rustix::process::Pid>,
    helper: bool,
    all: [Option<Entry>; MOST],
}

/// What has just been begun.
pub(crate) struct Begun {
    /// For a program that waits: an end of the stand-in of its own.
    pub(crate) wait_on: Option<OwnedFd>,
    pub(crate) ticket: Ticket,
    /// There is no helper, and the caller is to make one.
    pub(crate) needs_helper: bool,
}

/// Whether there is any. Without a lock, because nearly always there is none.
pub(crate) fn is_any() -> bool {
    COUNT.load(Ordering::Acquire) != 0
}

impl Pending {
    pub(crate) const fn new() -> Pending {
        Pending {
            all: [const { None }; MOST],
            last: 0,
            helper: false,
            process: None,
        }
    }

    /// Puts the socket at the number aside and the stand-in in its place.
    pub(crate) fn begin(
        &mut self,
        fd: RawFd,
        target: SocketAddr,
        servers: &'static [Server],
    ) -> Result<Begun, Errno> {
        if self.find(fd).is_some() {
            // Another thread has just begun.
            return Err(Errno::ALREADY);
        }
        let place = self.all.iter_mut().find(|place| place.is_none());
        let place = place.ok_or(Errno::AGAIN)?;
        let flags = fcntl_getfl(borrow(fd))?;
        let socket = aside(fd)?;
        let StandIn { near, far } = StandIn::new()?;
        let status = flags & (OFlags::NONBLOCK | OFlags::from_bits_retain(libc::O_ASYNC as u32));
        fcntl_setfl(&near, status)?;
        let inode = fstat(&near)?.st_ino;
        let numbers = Numbers::of(fd);
        numbers.iter().try_for_each(|fd| put_at(&near, fd))?;
        fcntl_setfl(&socket, flags | OFlags::NONBLOCK)?;
        self.last += 1;
        let ticket = Ticket(self.last);
        let waits = !flags.contains(OFlags::NONBLOCK);
        *place = Some(Entry {
            ticket,
            numbers,
            inode,
            own: socket.as_raw_fd(),
            socket: Some(socket),
            far: Some(far),
            waiters: usize::from(waits),
            target,
            servers,
            since: Instant::now(),
            inherited: false,
        });
        COUNT.fetch_add(1, Ordering::Relaxed);
        self.process = Some(rustix::process::getpid());
        Ok(Begun {
            wait_on: waits.then_some(near),
            ticket,
            needs_helper: !std::mem::replace(&mut self.helper, true),
        })
    }

    /// The number of the program's own socket, if it is being connected.
    pub(crate) fn own(&self, fd: RawFd) -> Option<RawFd> {
        self.find(fd).map(|entry| entry.own)
    }

    /// An end of the stand-in on which to wait for the outcome.
    pub(crate) fn wait(&mut self, fd: RawFd) -> Option<Result<OwnedFd, Errno>> {
        let entry = self.find_mut(fd)?;
        let waiting = aside(fd);
        if waiting.is_ok() {
            entry.waiters += 1;
        }
        Some(waiting)
    }

    /// Somebody waits no longer.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        if let Some(entry) = self.by_ticket(ticket) {
            entry.waiters = entry.waiters.saturating_sub(1);
        }
    }

    /// The ticket of what is being connected at the number.
    pub(crate) fn ticket(&self, fd: RawFd) -> Option<Ticket> {
        self.find(fd).map(|entry| entry.ticket)
    }

    /// Forgets what the program closes. A process that shares this memory until it calls exec is not
    /// the program.
    pub(crate) fn closed(&mut self, fd: RawFd) -> bool {
        if self.process != Some(rustix::process::getpid()) {
            return false;
        }
        let Some(entry) = self.find_mut(fd) else {
            return false;
        };
        entry.numbers.remove(fd);
        let ticket = entry.ticket;
        let closed = entry.numbers.first().is_none();
        if closed {
            self.forget(ticket);
        }
        closed
    }

    /// The program has made a second number for what is being connected.
    pub(crate) fn duplicated(&mut self, fd: RawFd, second: RawFd) {
        if self.process == Some(rustix::process::getpid())
            && let Some(entry) = self.find_mut(fd)
        {
            entry.numbers.add(second);
        }
    }

    /// Whether there may be one more number for it.
    pub(crate) fn has_room(&self, fd: RawFd) -> bool {
        self.find(fd).is_some_and(|entry| !entry.numbers.is_full())
    }

    /// The program does not want the connection any more, but the socket. Whether there was one.
    pub(crate) fn give_up(&mut self, fd: RawFd) -> bool {
        let Some(entry) = self.find(fd) else {
            return false;
        };
        let (ticket, own, numbers) = (entry.ticket, entry.own, entry.numbers.at(entry.inode));
        let _ = connect_unspec(borrow(own));
        let _ = sockopt::socket_error(borrow(own));
        put_back(borrow(own), &numbers);
        self.forget(ticket);
        true
    }

    /// The helper is no more, and what it had is lost.
    pub(crate) fn bereave(&mut self) {
        self.helper = false;
        for place in &mut self.all {
            let is_lost = |entry: &mut Entry| entry.socket.is_none() && !entry.inherited;
            if place.take_if(is_lost).is_some() {
                COUNT.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// The next socket that no helper has taken yet.
    pub(crate) fn order(&mut self) -> Option<Order> {
        let entry = self
            .all
            .iter_mut()
            .flatten()
            .find(|entry| entry.socket.is_some() && !entry.inherited)?;
        Some(Order {
            ticket: entry.ticket,
            socket: entry.socket.take()?,
            far: entry.far.as_ref()?.as_raw_fd(),
            target: entry.target,
            servers: entry.servers,
            since: entry.since,
        })
    }

    /// Whether the program still wants it.
    pub(crate) fn is_wanted(&mut self, ticket: Ticket) -> bool {
        self.by_ticket(ticket).is_some()
    }

    /// The helper ends, unless something has come in between.
    pub(crate) fn may_end(&mut self) -> bool {
        let more = self
            .all
            .iter()
            .flatten()
            .any(|entry| entry.socket.is_some() && !entry.inherited);
        self.helper = more;
        !more
    }

    /// Puts the program's socket back, and wakes those who wait for it. The far end is given back, to
    /// be kept until nobody looks at the near one any more.
    pub(crate) fn settle(
        &mut self,
        ticket: Ticket,
        socket: OwnedFd,
        outcome: Result<(), Errno>,
        outcomes: &mut Outcomes,
    ) -> Option<Kept> {
        let place = self
            .all
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(|entry| entry.ticket == ticket))?;
        let entry = place.take()?;
        let numbers = entry.numbers.at(entry.inode);
        if numbers.first().is_some() {
            if let Ok(cookie) = sockopt::socket_cookie(&socket) {
                // A thread that waits hears of the failure by itself.
                if outcome.is_ok() || entry.waiters == 0 {
                    outcomes.add(cookie, entry.target, outcome);
                }
            }
            put_back(socket.as_fd(), &numbers);
        }
        // Not before: until then, other threads have to wait for the lock.
        COUNT.fetch_sub(1, Ordering::Release);
        // While the lock is still held: a child would inherit it.
        drop(socket);
        let far = entry.far?;
        tell(&far, entry.waiters, outcome);
        if outcome.is_err() && entry.waiters == 0 {
            // What lies unread in it makes the near end fail, as a refused connection does.
            return None;
        }
        release(&far);
        // A thread that waits in connect(2) has the near end as well, and may have left it open.
        let fd = numbers.first().filter(|_| entry.waiters == 0);
        Some(Kept { far, fd })
    }

    /// Forgets what the program has closed without our knowing.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        let place = self
            .all
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(|entry| entry.ticket == ticket));
        if place.is_some_and(|place| place.take().is_some()) {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// In a child after fork(2): those who are at it are in the parent. What the parent's helper has
    /// is this child's to close, lest a connection that both have closed stays open.
    pub(crate) fn inherit(&mut self) {
        self.helper = false;
        self.process = Some(rustix::process::getpid());
        for entry in self.all.iter_mut().flatten() {
            entry.inherited = true;
            entry.far = None;
            // SAFETY: the number is open as long as the entry is there, and its owner is a thread
            // that this process does not have.
            let own = || unsafe { OwnedFd::from_raw_fd(entry.own) };
            entry.socket.get_or_insert_with(own);
        }
    }

    /// In a child after fork(2): looks whether the parent is through, which the stand-in shows, and
    /// puts the socket back here too. Why it failed is not known here.
    pub(crate) fn adopt(&mut self, fd: RawFd, outcomes: &mut Outcomes) {
        let all = PollFlags::IN | PollFlags::OUT;
        let mut ready = [PollFd::from_borrowed_fd(borrow(fd), all)];
        let now = Timespec::default();
        if !self.find(fd).is_some_and(|entry| entry.inherited)
            || !poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
        {
            return;
        }
        let [ready] = ready;
        let failed = ready.revents().contains(PollFlags::ERR);
        let place = self.all.iter_mut().find(|place| {
            place
                .as_ref()
                .is_some_and(|entry| entry.numbers.contains(fd))
        });
        let Some(entry) = place.and_then(Option::take) else {
            return;
        };
        let Some(socket) = entry.socket else {
            COUNT.fetch_sub(1, Ordering::Release);
            return;
        };
        let outcome = if failed {
            Err(Errno::CONNREFUSED)
        } else {
            Ok(())
        };
        if let Ok(cookie) = sockopt::socket_cookie(&socket) {
            outcomes.add(cookie, entry.target, outcome);
        }
        put_back(socket.as_fd(), &entry.numbers.at(entry.inode));
        COUNT.fetch_sub(1, Ordering::Release);
    }

    fn find(&self, fd: RawFd) -> Option<&Entry> {
        self.all
            .iter()
            .flatten()
            .find(|entry| entry.numbers.contains(fd))
    }

    fn find_mut(&mut self, fd: RawFd) -> Option<&mut Entry> {
        self.all
            .iter_mut()
            .flatten()
            .find(|entry| entry.numbers.contains(fd))
    }

    fn by_ticket(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.all
            .iter_mut()
            .flatten()
            .find(|entry| entry.ticket == ticket)
    }
}

/// The program's socket gets the flags that the program has set meanwhile, and its numbers back.
fn put_back(socket: BorrowedFd<'_>, numbers: &Numbers) {
    let status = numbers.first().map(|fd| fcntl_getfl(borrow(fd)));
    let is_blocking = matches!(status, Some(Ok(flags)) if !flags.contains(OFlags::NONBLOCK));
    if is_blocking && let Ok(flags) = fcntl_getfl(socket) {
        let _ = fcntl_setfl(socket, flags - OFlags::NONBLOCK);
    }
    for fd in numbers.iter() {
        let _ = put_at(socket, fd);
    }
}

/// Puts a file at one of the program's numbers, and its registrations with it.
fn put_at(what: impl AsFd, fd: RawFd) -> Result<(), Errno> {
    let registrations = Registrations::take(fd);
    let placed = put(what, fd);
    registrations.put(fd);
    placed
}
