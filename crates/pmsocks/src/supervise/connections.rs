//! Answers for the program's connections: decides which way each goes, and makes those that go through
//! a SOCKS server, on the program's own sockets.

mod about;
mod job;
mod settled;
mod socket;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::unistd::User as Account;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use socks_conf::{Action, Asked, Decision, Server, User};
use socks_dial::{is_local_address, report};

use super::address::{self, Wanted};
use super::commands;
use super::epolls;
use super::ffi::{self, Answer, Notification};
use super::filter;
use super::memory::Memory;
use super::stand_in::{self, StandIn};
use super::tracee::Tracee;
use crate::around::Around;
use crate::routes::Configuration;
use about::Question;
use job::{Caller, Finished, Job, Outcome, Place};
use settled::Settled;
use socket::{Socket, set_flags};

/// Most connections that are made at the same time; who wants one more is to try again (`EAGAIN`).
const MOST_JOBS: usize = 1024;

/// Of how many sockets it is known where they are connected to, and how an attempt ended whose caller was
/// interrupted.
const MOST_PEERS: usize = 16 * 1024;
const MOST_OUTCOMES: usize = 1024;

/// Of how many it is kept how they ended until the program asks.
const MOST_SETTLED: usize = 1024;

/// All of a program's connections.
pub(super) struct Connections {
    listener: OwnedFd,
    configuration: Configuration,
    around: Around,
    jobs: Vec<Job>,
    settled: Vec<Settled>,
    has_begun: bool,
    /// Whether any process has made an epoll instance so far.
    uses_epoll: bool,
    /// By the cookies of their sockets: addresses as the program wants to see them.
    peers: Memory<Vec<u8>>,
    outcomes: Memory<Result<(), Errno>>,
}

/// When a call is answered.
enum Reply {
    Now(Answer),
    /// When the connection is there, or has failed.
    Later,
}

/// An answer, or an error number as the answer.
type Replied = Result<Reply, Errno>;

const GO_ON: Replied = Ok(Reply::Now(Answer::GoOn));
const SUCCESS: Reply = Reply::Now(Answer::Success);

impl Connections {
    pub(super) fn new(listener: OwnedFd, configuration: Configuration) -> Connections {
        Connections {
            listener,
            configuration,
            around: Around::new(),
            jobs: Vec::new(),
            settled: Vec::new(),
            has_begun: false,
            uses_epoll: false,
            peers: Memory::of(MOST_PEERS),
            outcomes: Memory::of(MOST_OUTCOMES),
        }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Whether the program has wanted a connection of TCP so far.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What is waited for, in the order in which [`Connections::drive`] wants to hear of it.
    pub(super) fn awaited(&self) -> Vec<PollFd<'_>> {
        let now = Instant::now();
        let nothing = self.listener.as_fd();
        let jobs = self.jobs.iter().flat_map(|job| job.awaited(nothing));
        let settled = self
            .settled
            .iter()
            .flat_map(|settled| settled.awaited(nothing, now));
        jobs.chain(settled).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let jobs = self.jobs.iter().map(Job::deadline);
        let settled = self
            .settled
            .iter()
            .filter_map(|settled| settled.deadline(now));
        jobs.chain(settled).min()
    }

    /// Goes on with the connections of which something was heard, and with those whose time has come.
    pub(super) fn drive(&mut self, heard: &[PollFlags]) {
        let now = Instant::now();
        let pairs: Vec<[PollFlags; 2]> = heard
            .chunks_exact(2)
            .map(|pair| [pair[0], pair[1]])
            .collect();
        let (of_jobs, of_settled) = pairs.split_at(self.jobs.len().min(pairs.len()));
        let settled = std::mem::take(&mut self.settled);
        let driven = settled.into_iter().zip(of_settled);
        self.settled = driven
            .filter_map(|(settled, heard)| settled.drive(*heard))
            .collect();
        for (index, heard) in of_jobs.iter().enumerate().rev() {
            if self.jobs[index].place.is_some() && !heard[1].is_empty() {
                self.leave(index);
            } else if !heard[0].is_empty() || self.jobs[index].deadline() <= now {
                self.drive_one(index, now);
            }
        }
    }

    /// The program has closed the stand-in. Who waits for the connection all the same gets an answer.
    fn leave(&mut self, index: usize) {
        let caller = self.jobs[index].caller;
        if caller.is_some_and(|caller| ffi::waits(self.listener.as_fd(), caller.id)) {
            self.jobs[index].place = None;
        } else {
            self.jobs.swap_remove(index);
        }
    }

    fn drive_one(&mut self, index: usize, now: Instant) {
        let job = &mut self.jobs[index];
        if job.caller.is_some() && job.has_lost_patience(now) {
            if job.place.is_none() {
                // The program could not be kept from the dialogue.
                let finished = self.jobs.swap_remove(index).give_up(Errno::INPROGRESS);
                return self.finish(finished);
            }
            if let Some(caller) = job.caller.take() {
                let answer = Answer::Error(Errno::INPROGRESS);
                let _ = ffi::answer(self.listener.as_fd(), caller.id, answer);
            }
        }
        if let Some(outcome) = self.jobs[index].drive(now, &self.around) {
            let finished = self.jobs.swap_remove(index).finish(outcome);
            self.finish(finished);
        }
    }

    /// Answers who waits, and gives the program its socket. If nobody waits, that is for later.
    fn finish(&mut self, mut finished: Finished) {
        let cookie = stand_in::cookie(&finished.socket).ok();
        if let (Some(cookie), Ok(())) = (cookie, finished.outcome) {
            self.peers.insert(cookie, finished.peer.clone());
        }
        let listener = self.listener.as_fd();
        let waiting = finished
            .caller
            .filter(|caller| ffi::waits(listener, caller.id));
        let now = Instant::now();
        let Some(place) = finished.place.take() else {
            return self.finish_in_place(&finished, cookie);
        };
        self.settled.push(Settled::new(finished, place, now));
        let index = self.settled.len() - 1;
        if let Some(caller) = waiting {
            let outcome = self.settled[index].outcome;
            let given = self.give_back(index, caller);
            let answered = ffi::answer(self.listener.as_fd(), caller.id, answer_of(outcome));
            if let (Ok(()), Err(_), Some(cookie)) = (given, answered, cookie) {
                self.outcomes.insert(cookie, outcome);
            }
        } else if self.settled.len() > MOST_SETTLED {
            self.settled.remove(0);
        }
    }

    /// The same where the program has its socket all the time.
    fn finish_in_place(&mut self, finished: &Finished, cookie: Option<u64>) {
        // It can't fail: it is an open socket.
        let _ = set_flags(&finished.socket, finished.flags);
        let mut outcome = finished.outcome;
        let Some(caller) = finished.caller else {
            return;
        };
        let listener = self.listener.as_fd();
        if finished.is_replaced {
            let Caller {
                id, tracee, number, ..
            } = caller;
            let closes = tracee.closes_on_exec(number);
            let socket = finished.socket.as_fd();
            if ffi::replace(listener, id, socket, number, closes).is_err() {
                outcome = Err(Errno::CONNABORTED);
            }
        }
        let answered = ffi::answer(listener, caller.id, answer_of(outcome));
        if let (Err(_), Some(cookie)) = (answered, cookie) {
            self.outcomes.insert(cookie, outcome);
        }
    }

    /// Puts the program's socket back at the number where its stand-in is. It has no other call to do
    /// that by than the one that is being answered.
    fn give_back(&mut self, index: usize, caller: Caller) -> Result<(), Errno> {
        let settled = &self.settled[index];
        let near = self.socket(caller)?;
        if near.cookie()? != settled.cookie {
            return Err(Errno::BADF);
        }
        let near = near.into_descriptor();
        let kept = rustix::fs::fcntl_getfl(&near)? & OFlags::NONBLOCK;
        set_flags(settled.socket(), settled.flags - OFlags::NONBLOCK | kept)?;
        self.exchange(caller, near.as_fd(), settled.socket())?;
        if let Some(left) = self.settled.swap_remove(index).take() {
            self.settled.push(left);
        }
        Ok(())
    }

    /// Puts `new` at the number where `old` is, and in its place in epoll instances.
    fn exchange(
        &self,
        caller: Caller,
        old: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        let Caller {
            id, tracee, number, ..
        } = caller;
        let registrations = if self.uses_epoll {
            epolls::find(tracee, number, old)
        } else {
            Vec::new()
        };
        let closes = tracee.closes_on_exec(number);
        ffi::replace(self.listener.as_fd(), id, new, number, closes)?;
        // Without memory for it, the program has its socket all the same.
        let _ = epolls::exchange(&registrations, number, old, new);
        Ok(())
    }

    /// Puts a stand-in at the number where the job's socket is.
    fn put_aside(&self, caller: Caller, job: &Job) -> Result<Place, Errno> {
        let StandIn { near, far } = StandIn::new()?;
        if !job.flags().contains(OFlags::NONBLOCK) {
            set_flags(&near, OFlags::empty())?;
        }
        let cookie = stand_in::cookie(&near)?;
        self.exchange(caller, job.socket(), near.as_fd())?;
        Ok(Place { far, cookie })
    }

    /// Takes a call from the listener, and answers it unless it has to wait.
    pub(super) fn answer_next(&mut self) {
        // There is none if the thread was interrupted just now.
        let Ok(call) = ffi::receive(self.listener.as_fd()) else {
            return;
        };
        let answer = match self.handle(&call) {
            Ok(Reply::Later) => return,
            Ok(Reply::Now(answer)) => answer,
            Err(errno) => Answer::Error(errno),
        };
        // It fails if the thread was interrupted: it then calls again, or does not want to know.
        let _ = ffi::answer(self.listener.as_fd(), call.id, answer);
    }

    fn handle(&mut self, call: &Notification) -> Replied {
        let [first, second, third, ..] = call.arguments;
        let caller = |number: u64| Caller {
            id: call.id,
            tracee: Tracee {
                thread: call.thread,
            },
            number: low_half(number),
            is_native: call.machine == filter::NATIVE,
        };
        match (call.machine, call.number) {
            (filter::NATIVE, filter::CONNECT) | (filter::NARROW, filter::NARROW_CONNECT) => {
                self.connect(caller(first), second, third)
            }
            #[cfg(target_arch = "x86_64")]
            (filter::NARROW, filter::NARROW_SOCKETCALL) => {
                let mut words = [0; 12];
                caller(first).tracee.read(second, &mut words)?;
                let word =
                    |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| words[at + byte]));
                self.connect(caller(word(0).into()), word(4).into(), word(8).into())
            }
            (filter::NATIVE, filter::EPOLL_CREATE1) => {
                self.uses_epoll = true;
                GO_ON
            }
            #[cfg(target_arch = "x86_64")]
            (filter::NATIVE, filter::EPOLL_CREATE) => {
                self.uses_epoll = true;
                GO_ON
            }
            _ => match question(call) {
                Some(question) => self.answer_about(caller(first), question),
                None => GO_ON,
            },
        }
    }

    fn connect(&mut self, caller: Caller, address: u64, length: u64) -> Replied {
        let mut bytes = [0; address::LONGEST];
        let bytes = usize::try_from(low_half(length))
            .ok()
            .and_then(|length| bytes.get_mut(..length))
            .ok_or(Errno::INVAL)?;
        self.visible(caller.tracee.read(address, bytes))?;
        match address::decode(bytes) {
            Wanted::Other => GO_ON,
            Wanted::Nothing => {
                if let Ok(cookie) = self.socket(caller).and_then(|socket| socket.cookie()) {
                    self.forget(caller, cookie);
                }
                GO_ON
            }
            Wanted::Internet(target) => self.connect_to(caller, target),
        }
    }

    /// The program ends its connection, or gives up to make one.
    fn forget(&mut self, caller: Caller, cookie: u64) {
        self.peers.remove(cookie);
        self.outcomes.remove(cookie);
        if let Some(index) = self.jobs.iter().position(|job| job.is_of(cookie)) {
            let mut finished = self.jobs.swap_remove(index).give_up(Errno::CONNABORTED);
            finished.caller = None;
            self.finish(finished);
        }
        let stand_in = self
            .settled
            .iter()
            .position(|settled| settled.cookie == cookie);
        if let Some(index) = stand_in {
            // Otherwise the program has closed it.
            let _ = self.give_back(index, caller);
        }
    }

    fn connect_to(&mut self, caller: Caller, target: SocketAddr) -> Replied {
        let socket = self.socket(caller)?;
        let cookie = socket.cookie()?;
        if let Some(index) = self.jobs.iter().position(|job| job.is_of(cookie)) {
            return self.join(index, caller, &socket);
        }
        if let Some(index) = self
            .settled
            .iter()
            .position(|settled| settled.cookie == cookie)
        {
            let outcome = self.settled[index].outcome;
            return self.give_back(index, caller).and(outcome).map(|()| SUCCESS);
        }
        if !socket.is_tcp()? {
            return GO_ON;
        }
        if let Some(outcome) = self.outcomes.remove(cookie) {
            return outcome.map(|()| SUCCESS);
        }
        if self.peers.get(cookie).is_some() && socket.is_connected() {
            return Err(Errno::ISCONN);
        }
        if socket.is_v6()? != target.is_ipv6() {
            return Err(Errno::AFNOSUPPORT);
        }
        if socket.is_connected() {
            // There is nothing to decide, and the kernel knows whether this was told already.
            return socket.connect_directly(target).map(Reply::Now);
        }
        self.has_begun = true;
        match self.decide(caller, target) {
            Way::Deny => Err(Errno::ACCESS),
            Way::Direct => socket.connect_directly(target).map(Reply::Now),
            Way::Through(servers) => self.begin(caller, socket, target, &servers),
        }
    }

    /// A call for a socket that is being connected: the same call, after a signal, or another thread's.
    fn join(&mut self, index: usize, caller: Caller, socket: &Socket) -> Replied {
        let job = &mut self.jobs[index];
        let waits = |caller: Caller| ffi::waits(self.listener.as_fd(), caller.id);
        let would_wait = job.place.is_none() || socket.blocks()?;
        if job.caller.is_some_and(waits) || !would_wait {
            return Err(Errno::ALREADY);
        }
        if job.has_lost_patience(Instant::now()) {
            return Err(Errno::INPROGRESS);
        }
        job.caller = Some(caller);
        Ok(Reply::Later)
    }

    fn begin(
        &mut self,
        caller: Caller,
        socket: Socket,
        target: SocketAddr,
        servers: &[Server],
    ) -> Replied {
        if self.jobs.len() >= MOST_JOBS {
            return Err(Errno::AGAIN);
        }
        let settings = &self.configuration.settings;
        let now = Instant::now();
        let mut job = Job::new(caller, socket, target, servers, settings, now)?;
        if caller.is_native {
            // Without it, the program waits, whatever it has set.
            job.place = self.put_aside(caller, &job).ok();
        }
        let waits = job.place.is_none() || !job.flags().contains(OFlags::NONBLOCK);
        job.caller = waits.then_some(caller);
        self.jobs.push(job);
        self.drive_one(self.jobs.len() - 1, now);
        if waits {
            Ok(Reply::Later)
        } else {
            Err(Errno::INPROGRESS)
        }
    }

    /// The socket that a call is about. It is looked at only while the caller waits, so that it is the
    /// caller's.
    fn socket(&self, caller: Caller) -> Result<Socket, Errno> {
        let descriptor = self.visible(caller.tracee.descriptor(caller.number))?;
        if ffi::waits(self.listener.as_fd(), caller.id) {
            Ok(Socket::new(descriptor))
        } else {
            Err(Errno::INTR)
        }
    }

    /// A program may close itself to others (prctl(2), `PR_SET_DUMPABLE`). Then nobody can answer for it.
    fn visible<T>(&self, seen: Result<T, Errno>) -> Result<T, Errno> {
        seen.map_err(|errno| {
            if errno != Errno::PERM {
                return errno;
            }
            if self.configuration.settings.debug {
                report(&format_args!(
                    "a program does not let the supervisor see its connections: refused"
                ));
            }
            Errno::ACCESS
        })
    }

    fn decide(&self, caller: Caller, target: SocketAddr) -> Way {
        let target = SocketAddr::new(target.ip().to_canonical(), target.port());
        let routes = &self.configuration.routes;
        let account;
        let uid = routes.has_users().then(|| caller.tracee.user()).flatten();
        let user = match uid {
            Some(uid) if uid != self.around.user().uid => {
                account = Account::from_uid(uid.into()).ok().flatten();
                User {
                    uid,
                    name: account.as_ref().map(|account| account.name.as_str()),
                }
            }
            _ => self.around.user(),
        };
        let decision = routes.decide(&Asked {
            address: Some(target.ip()),
            name: None,
            port: target.port(),
            user,
            is_local: &is_local_address,
        });
        if let Some(command) = decision.command {
            let process = caller.tracee.thread.cast_unsigned();
            commands::run(command, process, target, user);
        }
        self.tell(&decision, target);
        match decision.action {
            Action::Deny => Way::Deny,
            Action::Direct => Way::Direct,
            Action::Sockd(servers) => Way::Through(servers.to_vec()),
        }
    }

    fn tell(&self, decision: &Decision<'_>, target: SocketAddr) {
        let settings = &self.configuration.settings;
        if !settings.debug {
            return;
        }
        let what = match decision.action {
            Action::Deny => "denied",
            Action::Direct => "direct",
            Action::Sockd(_) => "through a SOCKS server",
        };
        let line = decision
            .line
            .map_or("no line".to_owned(), |line| format!("line {line}"));
        report(&format_args!(
            "{} port {}: {what} ({line} of {})",
            target.ip(),
            target.port(),
            settings.routes_file.display()
        ));
    }
}

/// Which way a connection goes.
enum Way {
    Deny,
    Direct,
    Through(Vec<Server>),
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Ok(()) => Answer::Success,
        Err(errno) => Answer::Error(errno),
    }
}

/// What a call asks about a socket.
fn question(call: &Notification) -> Option<Question> {
    let [_, second, third, fourth, fifth, ..] = call.arguments;
    let (address, length) = (second, third);
    let (level, name) = (low_half(second), low_half(third));
    Some(match (call.machine, call.number) {
        (filter::NATIVE, filter::GETSOCKNAME) => Question::Name { address, length },
        (filter::NATIVE, filter::GETPEERNAME) | (filter::NARROW, filter::NARROW_GETPEERNAME) => {
            Question::Peer { address, length }
        }
        (filter::NATIVE, filter::GETSOCKOPT) => Question::Option {
            level,
            name,
            value: fourth,
            length: fifth,
        },
        (filter::NATIVE, filter::SETSOCKOPT) => Question::SetOption {
            level,
            name,
            value: fourth,
            length: fifth,
        },
        _ => return None,
    })
}

/// The kernel looks at the lower half only where a call has an `int`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is what the kernel does"
)]
fn low_half(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
