//! Calls about a socket that has a stand-in: they are answered in the socket's place while it is being
//! connected, and have the program get it back when it is.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::getsockname;
use rustix::process::geteuid;

use super::super::address;
use super::super::ffi::{self, Answer};
use super::super::tracee::Caller;
use super::calls::low_half;
use super::{Connections, GO_ON, Replied, Reply};

/// Longer values of options are not passed on.
const LONGEST_OPTION: usize = 256;

/// What is asked about a socket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Name {
        address: u64,
        length: u64,
    },
    Peer {
        address: u64,
        length: u64,
    },
    Option {
        level: i32,
        name: i32,
        value: u64,
        length: u64,
    },
    SetOption {
        level: i32,
        name: i32,
        value: u64,
        length: u64,
    },
}

impl Question {
    /// Whether the kernel does not know the answer.
    fn is_own(self) -> bool {
        self.is_error() || matches!(self, Question::Peer { .. })
    }

    fn is_error(self) -> bool {
        matches!(
            self,
            Question::Option {
                level: libc::SOL_SOCKET,
                name: libc::SO_ERROR,
                ..
            }
        )
    }
}

impl Connections {
    pub(super) fn answer_about(&mut self, caller: Caller, question: Question) -> Replied {
        if self.jobs.is_empty() && self.settled.is_empty() && self.peers.is_empty() {
            return GO_ON;
        }
        // What is wrong with the number is the kernel's to say.
        let Ok(socket) = self.socket(caller) else {
            return GO_ON;
        };
        let Ok(cookie) = socket.cookie() else {
            return GO_ON;
        };
        let place = |job: &super::Job| {
            job.place
                .as_ref()
                .is_some_and(|place| place.cookie == cookie)
        };
        if let Some(job) = self.jobs.iter().find(|job| place(job)) {
            return match question {
                Question::Peer { .. } => Err(Errno::NOTCONN),
                _ if question.is_error() => reply_error(caller, question, None),
                _ => on_behalf(caller, job.socket(), question),
            };
        }
        if let Some(index) = self
            .settled
            .iter()
            .position(|settled| settled.cookie == cookie)
        {
            return self.answer_settled(index, caller, question);
        }
        match question {
            Question::Peer { address, length } => match self.peers.get(cookie) {
                Some(peer) if socket.is_connected() => reply_name(caller, address, length, peer),
                _ => GO_ON,
            },
            _ => GO_ON,
        }
    }

    /// The first call about a connection gives the socket back, and the kernel then answers the call.
    /// Of a failure only `SO_ERROR` does so, which tells it: it must not be lost to another call.
    fn answer_settled(&mut self, index: usize, caller: Caller, question: Question) -> Replied {
        let settled = &self.settled[index];
        let (outcome, peer) = (settled.outcome, settled.peer.clone());
        let keeps = settled.is_relayed() || outcome.is_err() && !question.is_error();
        if !keeps && self.give_back(index, caller).is_ok() && !question.is_own() {
            return GO_ON;
        }
        match question {
            Question::Peer { address, length } if outcome.is_ok() => {
                reply_name(caller, address, length, &peer)
            }
            _ if question.is_error() => reply_error(caller, question, outcome.err()),
            _ => on_behalf(caller, self.settled[index].socket(), question),
        }
    }
}

/// Asks the socket itself, which the program does not have now.
fn on_behalf(caller: Caller, socket: BorrowedFd<'_>, question: Question) -> Replied {
    match question {
        Question::Name { address, length } => {
            let name = SocketAddr::try_from(getsockname(socket)?).map_err(|_| Errno::INVAL)?;
            reply_name(
                caller,
                address,
                length,
                &address::encode(name, name.is_ipv6()),
            )
        }
        Question::Peer { .. } => Err(Errno::NOTCONN),
        Question::Option {
            level,
            name,
            value,
            length,
        } => {
            let mut room = [0; LONGEST_OPTION];
            let wanted = room_at(caller, length)?.min(room.len());
            let count = ffi::option(socket, level, name, &mut room[..wanted])?;
            reply_value(caller, value, length, &room[..count.min(wanted)])
        }
        Question::SetOption {
            level,
            name,
            value,
            length,
        } => {
            let mut room = [0; LONGEST_OPTION];
            let length = usize::try_from(low_half(length)).map_err(|_| Errno::INVAL)?;
            let room = room.get_mut(..length).ok_or(Errno::INVAL)?;
            caller.tracee.read(value, room)?;
            // What the program's user may not do, this process does not do for it.
            if caller.tracee.user() != Some(geteuid().as_raw()) {
                return Err(Errno::PERM);
            }
            ffi::set_option(socket, level, name, room)?;
            Ok(Reply::Now(Answer::Success))
        }
    }
}

/// Answers `SO_ERROR`.
fn reply_error(caller: Caller, question: Question, error: Option<Errno>) -> Replied {
    let Question::Option { value, length, .. } = question else {
        return GO_ON;
    };
    let number = error.map_or(0, Errno::raw_os_error).to_ne_bytes();
    let room = room_at(caller, length)?.min(number.len());
    reply_value(caller, value, length, &number[..room])
}

fn reply_value(caller: Caller, value: u64, length: u64, bytes: &[u8]) -> Replied {
    caller.tracee.write(value, bytes)?;
    let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    caller.tracee.write(length, &count.to_ne_bytes())?;
    Ok(Reply::Now(Answer::Success))
}

/// Answers with an address, which is cut where there is not room enough.
fn reply_name(caller: Caller, address: u64, length: u64, name: &[u8]) -> Replied {
    let room = room_at(caller, length)?.min(name.len());
    caller.tracee.write(address, &name[..room])?;
    let length_of_all = u32::try_from(name.len()).unwrap_or(u32::MAX);
    caller.tracee.write(length, &length_of_all.to_ne_bytes())?;
    Ok(Reply::Now(Answer::Success))
}

/// How much room the program has for the answer.
fn room_at(caller: Caller, length: u64) -> Result<usize, Errno> {
    let mut room = [0; 4];
    caller.tracee.read(length, &mut room)?;
    usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::INVAL)
}
