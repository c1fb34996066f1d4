//! The calls that the kernel asks about: which is meant, and what becomes of a connect(2).

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use pmsocks_common::supervision;
use rustix::fs::OFlags;
use rustix::io::Errno;
use socks_conf::Server;

use super::super::address::{self, Wanted};
use super::super::ffi::{self, Notification};
use super::super::filter;
use super::super::libpcp;
use super::super::tracee::{Caller, Tracee};
use super::about::Question;
use super::job::Job;
use super::route::Way;
use super::settled::Settled;
use super::socket::Socket;
use super::{Connections, GO_ON, Replied, Reply, SUCCESS};

impl Connections {
    pub(super) fn handle(&mut self, call: &Notification) -> Replied {
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
            Wanted::Internet(target) => self.connect_to(caller, target, bytes),
            wanted => {
                if supervision::is_question(bytes) {
                    return Err(supervision::YES);
                }
                let socket = self.socket(caller)?;
                if wanted == Wanted::Other {
                    return pass_on(&socket, bytes);
                }
                self.forget(caller, socket.cookie()?);
                // It may be another one now.
                pass_on(&self.socket(caller)?, bytes)
            }
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

    fn connect_to(&mut self, caller: Caller, target: SocketAddr, bytes: &[u8]) -> Replied {
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
            if self.settled[index].is_relayed() {
                return Err(Errno::ISCONN);
            }
            let outcome = self.settled[index].outcome;
            return self.give_back(index, caller).and(outcome).map(|()| SUCCESS);
        }
        if !socket.is_tcp()? {
            return pass_on(&socket, bytes);
        }
        if let Some(outcome) = self.outcomes.remove(cookie) {
            return outcome.map(|()| SUCCESS);
        }
        if self.peers.get(cookie).is_some() && socket.is_connected() {
            return Err(Errno::ISCONN);
        }
        if socket.is_v6()? != target.is_ipv6() {
            // The kernel says why not.
            return pass_on(&socket, bytes);
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

    /// Failures that the program does not ask for may be forgotten; it has closed those sockets, or uses
    /// what it sees of them.
    fn make_room(&mut self) -> Result<(), Errno> {
        if self.jobs.len() + self.settled.len() >= self.most {
            let forgotten = self.settled.iter().position(Settled::has_failed);
            self.settled.remove(forgotten.ok_or(Errno::AGAIN)?);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        caller: Caller,
        socket: Socket,
        target: SocketAddr,
        servers: &[Server],
    ) -> Replied {
        self.make_room()?;
        let settings = &self.configuration.settings;
        let now = Instant::now();
        let mut job = Job::new(caller, socket, target, servers, settings, now)?;
        let blocks = !job.flags().contains(OFlags::NONBLOCK);
        let waits_anyway = !blocks && libpcp::has_called(caller.tracee);
        if caller.is_native {
            // Without it, the program waits, whatever it has set.
            job.place = self.put_aside(caller, &job).ok();
        }
        let waits = blocks || waits_anyway || job.place.is_none();
        job.caller = waits.then_some(caller);
        self.jobs.push(job);
        self.drive_one(self.jobs.len() - 1, now);
        if waits {
            Ok(Reply::Later)
        } else {
            Err(Errno::INPROGRESS)
        }
    }
}

/// What nobody decides about. The kernel would read the address once more, and look once more what is at
/// the number, which another thread can change; so sockets of internet protocols are connected here.
fn pass_on(socket: &Socket, address: &[u8]) -> Replied {
    if socket.connects_at_once()? {
        ffi::connect(socket.as_fd(), address)?;
        return Ok(SUCCESS);
    }
    GO_ON
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
pub(super) fn low_half(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
