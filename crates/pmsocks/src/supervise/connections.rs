//! Answers for the program's connections: decides which way each goes, and makes those that go through
//! a SOCKS server, on the program's own sockets.

mod job;
mod socket;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::unistd::User as Account;
use rustix::event::PollFd;
use rustix::io::Errno;
use socks_conf::{Action, Asked, Decision, Server, User};
use socks_dial::{is_local_address, report};

use super::address::{self, Wanted};
use super::commands;
use super::ffi::{self, Answer, Notification};
use super::filter;
use super::memory::Memory;
use super::tracee::Tracee;
use crate::around::Around;
use crate::routes::Configuration;
use job::{Caller, Job, Outcome};
use socket::Socket;

/// Most connections that are made at the same time; who wants one more is to try again (`EAGAIN`).
const MOST_JOBS: usize = 1024;

/// Of how many sockets it is known where they are connected to, and how an attempt ended whose caller was
/// interrupted.
const MOST_PEERS: usize = 16 * 1024;
const MOST_OUTCOMES: usize = 1024;

/// All of a program's connections.
pub(super) struct Connections {
    listener: OwnedFd,
    configuration: Configuration,
    around: Around,
    jobs: Vec<Job>,
    has_begun: bool,
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

impl Connections {
    pub(super) fn new(listener: OwnedFd, configuration: Configuration) -> Connections {
        Connections {
            listener,
            configuration,
            around: Around::new(),
            jobs: Vec::new(),
            has_begun: false,
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
    pub(super) fn awaited(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.jobs.iter().map(Job::awaited)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.jobs.iter().map(Job::deadline).min()
    }

    /// Goes on with the connections of which something was heard, and with those whose time has come.
    pub(super) fn drive(&mut self, heard: &[bool]) {
        let now = Instant::now();
        for index in (0..self.jobs.len()).rev() {
            let heard = heard.get(index).copied().unwrap_or(false);
            if heard || self.jobs[index].deadline() <= now {
                self.drive_one(index, now);
            }
        }
    }

    fn drive_one(&mut self, index: usize, now: Instant) {
        if let Some(outcome) = self.jobs[index].drive(now, &self.around) {
            let job = self.jobs.swap_remove(index);
            self.finish(job, outcome);
        }
    }

    /// Answers who waits. An outcome that nobody waits for any more is kept for the next call.
    fn finish(&mut self, job: Job, outcome: Outcome) {
        let finished = job.finish(self.listener.as_fd(), outcome);
        if let (Some(cookie), Ok(())) = (finished.cookie, finished.outcome) {
            self.peers.insert(cookie, finished.peer);
        }
        let answer = match finished.outcome {
            Ok(()) => Answer::Success,
            Err(errno) => Answer::Error(errno),
        };
        let answered = ffi::answer(self.listener.as_fd(), finished.caller.id, answer);
        if let (Err(_), Some(cookie)) = (answered, finished.cookie) {
            self.outcomes.insert(cookie, finished.outcome);
        }
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
            (filter::NATIVE, filter::GETPEERNAME)
            | (filter::NARROW, filter::NARROW_GETPEERNAME) => {
                self.getpeername(caller(first), second, third)
            }
            _ => GO_ON,
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
                    self.peers.remove(cookie);
                    self.outcomes.remove(cookie);
                }
                GO_ON
            }
            Wanted::Internet(target) => self.connect_to(caller, target),
        }
    }

    fn connect_to(&mut self, caller: Caller, target: SocketAddr) -> Replied {
        let socket = self.socket(caller)?;
        if !socket.is_tcp()? {
            return GO_ON;
        }
        let cookie = socket.cookie()?;
        if let Some(index) = self.jobs.iter().position(|job| job.cookie() == cookie) {
            return self.join(index, caller);
        }
        if let Some(outcome) = self.outcomes.remove(cookie) {
            return outcome.map(|()| Reply::Now(Answer::Success));
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
    fn join(&mut self, index: usize, caller: Caller) -> Replied {
        let job = &mut self.jobs[index];
        if ffi::waits(self.listener.as_fd(), job.caller().id) {
            return Err(Errno::ALREADY);
        }
        job.set_caller(caller);
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
        self.jobs
            .push(Job::new(caller, socket, target, servers, settings, now)?);
        self.drive_one(self.jobs.len() - 1, now);
        Ok(Reply::Later)
    }

    fn getpeername(&self, caller: Caller, address: u64, length: u64) -> Replied {
        let Ok(socket) = self.socket(caller) else {
            return GO_ON;
        };
        let Some(peer) = socket
            .cookie()
            .ok()
            .and_then(|cookie| self.peers.get(cookie))
        else {
            return GO_ON;
        };
        if !socket.is_connected() {
            return GO_ON;
        }
        let mut room = [0; 4];
        caller.tracee.read(length, &mut room)?;
        let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::INVAL)?;
        caller
            .tracee
            .write(address, &peer[..room.min(peer.len())])?;
        let length_of_all = u32::try_from(peer.len()).unwrap_or(u32::MAX).to_ne_bytes();
        caller.tracee.write(length, &length_of_all)?;
        Ok(Reply::Now(Answer::Success))
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

/// The kernel looks at the lower half only where a call has an `int`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is what the kernel does"
)]
fn low_half(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
