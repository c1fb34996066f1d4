//! Answers for the program's connections: decides which way each goes (`route`), and makes those that go
//! through a SOCKS server (`job`), on the program's own sockets. Meanwhile the program has a stand-in for
//! its socket (`exchange`), about which it may ask what it likes (`about`).

mod about;
mod calls;
mod exchange;
mod job;
mod route;
mod settled;
mod socket;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use socks_dial::report;

use super::ffi::{self, Answer};
use super::memory::Memory;
use super::stand_in;
use super::tracee::Caller;
use crate::around::Around;
use crate::configuration::Configuration;
use job::{Finished, Job, Outcome};
use settled::Settled;
use socket::{Socket, set_flags};

/// Most connections that are made at the same time or wait to be asked for, where this process may have
/// so many descriptors. Who wants one more is to try again (`EAGAIN`).
const MOST_CONNECTIONS: u64 = 1024;

/// Each has two descriptors, and two places among those that are waited for.
const FOR_EACH: u64 = 2;

/// Descriptors for everything else.
const FOR_THE_REST: u64 = 24;

/// Of how many sockets it is known where they are connected to, and how an attempt ended whose caller was
/// interrupted.
const MOST_PEERS: usize = 16 * 1024;
const MOST_OUTCOMES: usize = 1024;

/// All of a program's connections.
pub(super) struct Connections {
    listener: OwnedFd,
    configuration: Configuration,
    around: Around,
    /// Most of the next two together.
    most: usize,
    jobs: Vec<Job>,
    settled: Vec<Settled>,
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
const SUCCESS: Reply = Reply::Now(Answer::Success);

impl Connections {
    /// Answers what comes from the listener, with so many descriptors.
    pub(super) fn new(
        listener: OwnedFd,
        configuration: Configuration,
        descriptors: u64,
    ) -> Connections {
        let most = (descriptors.saturating_sub(FOR_THE_REST) / FOR_EACH).clamp(1, MOST_CONNECTIONS);
        Connections {
            most: usize::try_from(most).unwrap_or(1),
            listener,
            configuration,
            around: Around::new(),
            jobs: Vec::new(),
            settled: Vec::new(),
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

    /// Whether there may be bytes of programs that have not reached their sockets.
    pub(super) fn is_carrying(&self) -> bool {
        let may_have_bytes = |settled: &Settled| !settled.has_failed();
        self.settled.iter().any(may_have_bytes)
    }

    /// What is waited for, in the order in which [`Connections::drive`] wants to hear of it. Of `nothing`,
    /// nothing is ever heard.
    pub(super) fn awaited<'a>(&'a self, nothing: BorrowedFd<'a>) -> Vec<PollFd<'a>> {
        let now = Instant::now();
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
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Ok(()) => Answer::Success,
        Err(errno) => Answer::Error(errno),
    }
}
