//! The server for collectors: who is let in, what they ask, and the answers.

mod client;
mod socket;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use pcp_proto::Status;
use pcp_proto::root::{
    Answer, Container, Failure, Label, Next, Request, RootError, StartRequest, Started,
    StopRequest, Stopped, Target, TextOrNone, Version,
};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::Signal;

use crate::arguments;
use crate::children::Children;
use crate::containers::{Containers, Found, NotFound};
use crate::host_names;
use crate::log;
use crate::starter::{Order, Starter};
use client::Peer;
pub(crate) use client::{Client, Flow, State};
pub(crate) use socket::{Listener, User};

/// What a connection has to do with, beside itself.
pub(crate) struct Services<'a> {
    pub(crate) containers: &'a mut Containers,
    pub(crate) children: &'a mut Children,
    pub(crate) starter: &'a Starter,
    /// Its number.
    pub(crate) client: u64,
    pub(crate) now: Instant,
    /// When its question came.
    pub(crate) asked: Instant,
}

/// Why a connection is cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("it broke the protocol: {0}")]
    Protocol(#[from] RootError),
    #[error("its connection failed: {0}")]
    Connection(#[from] io::Error),
}

/// Lets clients in.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Listener,
    user: Option<User>,
    refused: u32,
    told: Option<Instant>,
}

/// How often refusals are written to the log.
const REFUSALS: Duration = Duration::from_secs(1);

impl Door {
    pub(crate) fn new(listener: Listener, user: Option<User>) -> Door {
        Door {
            listener,
            user,
            refused: 0,
            told: None,
        }
    }

    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The next client, greeted; `None` if nobody waits any more.
    ///
    /// # Errors
    /// When the system cannot give a connection now; those that wait stay there.
    pub(crate) fn accept(&mut self, now: Instant) -> io::Result<Option<Client>> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(client) = self.admit(socket, now) {
                return Ok(Some(client));
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd, now: Instant) -> Option<Client> {
        // rustix has no number for the process of a client from outside our namespace, which is 0.
        let who = getsockopt(&socket, PeerCredentials).ok()?;
        let peer = Peer {
            pid: who.pid(),
            uid: who.uid(),
        };
        if peer.uid != 0 && self.user.is_none_or(|user| user.uid != peer.uid) {
            self.refuse(peer, now);
            return None;
        }
        let mut client = Client::new(socket, peer);
        let greeting = Answer::Info(Ok(pcp_proto::root::Features::ALL));
        client
            .answer(greeting.encode(Version::default()), Vec::new())
            .ok()?;
        Some(client)
    }

    fn refuse(&mut self, peer: Peer, now: Instant) {
        self.refused = self.refused.saturating_add(1);
        let is_recent = |told: Instant| now.duration_since(told) < REFUSALS;
        if self.told.is_some_and(is_recent) {
            return;
        }
        match self.refused {
            1 => log::error!("{peer} is refused: only root and PCP's own user are served"),
            more => log::error!("{peer} is refused, as {} others before", more - 1),
        }
        (self.refused, self.told) = (0, Some(now));
    }
}

impl Client {
    /// Answers all questions that are there, as far as it can be done now.
    pub(crate) fn serve(&mut self, services: &mut Services<'_>) -> Result<(), ClientError> {
        if let State::Settling { asked, .. } = self.state {
            self.state = State::Ready;
            services.asked = asked;
        }
        while self.may_ask() {
            let (len, reply) = match Request::next(self.questions())? {
                Next::Missing(_) => return Ok(()),
                Next::Whole { pdu, version, len } => (len, services.answer(&pdu, version)),
            };
            match reply {
                Reply::Now(bytes) => {
                    self.consume(len);
                    services.asked = services.now;
                    self.answer(bytes, Vec::new())?;
                }
                Reply::Settling(until) => {
                    let asked = services.asked;
                    self.state = State::Settling { asked, until };
                }
                Reply::Starting => {
                    self.consume(len);
                    self.state = State::Starting;
                }
            }
        }
        Ok(())
    }

    /// The process that was ordered has been started, or not.
    pub(crate) fn started(
        &mut self,
        label: &[u8],
        pid: Result<i32, Failure>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), ClientError> {
        self.state = State::Ready;
        let Ok(label) = Label::new(label) else {
            return Ok(());
        };
        let answer = Answer::Start(Started { label, pid });
        Ok(self.answer(answer.encode(Version::default()), descriptors)?)
    }
}

/// What becomes of a question.
enum Reply {
    Now(Vec<u8>),
    /// It is to be asked again, by then.
    Settling(Instant),
    /// A process is being started.
    Starting,
}

/// What a target is.
enum Meant {
    Process(u32),
    Container { pid: Option<u32>, cgroup: String },
    Later(Instant),
}

impl Services<'_> {
    fn answer(&mut self, request: &Request<'_>, version: Version) -> Reply {
        let encode = |answer: Answer<'_>| Reply::Now(answer.encode(version));
        match request {
            Request::HostName(target) => match self.meant(target) {
                Ok(Meant::Later(until)) => Reply::Settling(until),
                meant => encode(Answer::HostName(container(
                    &meant.and_then(|meant| host_name(&meant)),
                ))),
            },
            Request::ProcessId(target) => match self.meant(target) {
                Ok(Meant::Later(until)) => Reply::Settling(until),
                meant => encode(Answer::ProcessId(container(
                    &meant.and_then(|meant| process_id(&meant)),
                ))),
            },
            Request::CgroupName(target) => match self.meant(target) {
                Ok(Meant::Later(until)) => Reply::Settling(until),
                meant => encode(Answer::CgroupName(container(
                    &meant.and_then(|meant| self.cgroup_name(meant)),
                ))),
            },
            Request::Start(start) => match self.order(start) {
                Ok(()) => Reply::Starting,
                Err(failure) => encode(Answer::Start(Started {
                    label: start.label,
                    pid: Err(failure),
                })),
            },
            Request::Stop(stop) => encode(Answer::Stop(self.stop(*stop))),
        }
    }

    fn meant(&mut self, target: &Target<'_>) -> Result<Meant, Failure> {
        let name = match target {
            Target::Pid(pid) => {
                let pid = u32::try_from(*pid).ok().filter(|pid| *pid > 0);
                return pid.map(Meant::Process).ok_or(errno(Errno::NOENT));
            }
            Target::Name(name) => name.as_bytes(),
        };
        let name = std::str::from_utf8(name).map_err(|_| Failure::NO_CONTAINER)?;
        self.containers.refresh(self.now);
        match self.containers.find(name, self.asked, self.now) {
            Ok(Found::Now(container)) => {
                log::debug!("attr", "container {name:?} is {}", container.id);
                Ok(Meant::Container {
                    pid: container.pid(),
                    cgroup: container.cgroup.clone(),
                })
            }
            Ok(Found::Later(until)) => Ok(Meant::Later(until)),
            Err(NotFound::Unknown) => {
                log::debug!("attr", "container {name:?} is not known");
                Err(Failure::NO_CONTAINER)
            }
            Err(error @ NotFound::Ambiguous(_)) => {
                log::info!("container {name:?}: {error}");
                Err(errno(Errno::NOTUNIQ))
            }
        }
    }

    fn cgroup_name(&self, meant: Meant) -> Result<(u32, Vec<u8>), Failure> {
        let (pid, path) = match meant {
            Meant::Container { pid, cgroup } => (pid.unwrap_or(0), cgroup),
            Meant::Process(pid) => {
                let path = self.containers.group_of(pid);
                (pid, path.ok_or(errno(Errno::NOENT))?)
            }
            Meant::Later(_) => return Err(errno(Errno::AGAIN)),
        };
        // On the wire it has no leading slash.
        Ok((pid, path.trim_start_matches('/').as_bytes().to_vec()))
    }

    fn order(&mut self, start: &StartRequest<'_>) -> Result<(), Failure> {
        let line = std::str::from_utf8(start.arguments.as_bytes());
        let arguments = line.map(arguments::split);
        let cut = arguments.ok().and_then(Result::ok);
        let Some(arguments) = cut.filter(|arguments| !arguments.is_empty()) else {
            log::error!("{}: no command line: {}", start.label, start.arguments);
            return Err(Failure::GENERIC);
        };
        log::info!("starting {}: {}", start.label, start.arguments);
        let order = Order {
            client: self.client,
            label: start.label.as_bytes().to_vec(),
            arguments,
            ipc: start.ipc,
        };
        if self.starter.order(order) {
            Ok(())
        } else {
            Err(Failure::GENERIC)
        }
    }

    fn stop(&mut self, stop: StopRequest) -> Result<Stopped, Failure> {
        let (pid, signal) = match stop {
            StopRequest::WaitAny => return Ok(self.children.wait_any(self.client)),
            StopRequest::Terminate(pid) => (pid, Signal::TERM),
            StopRequest::Kill(pid) => (pid, Signal::KILL),
        };
        match self.children.end(pid, signal) {
            Ok(()) => Ok(Stopped { pid, code: 0 }),
            Err(error) => {
                log::error!("process {pid} is not ended: {error}");
                Err(failure(&error))
            }
        }
    }
}

fn process_id(meant: &Meant) -> Result<(u32, Vec<u8>), Failure> {
    let pid = match meant {
        Meant::Container { pid, .. } => *pid,
        Meant::Process(pid) => crate::processes::started(*pid).map(|_| *pid),
        Meant::Later(_) => return Err(errno(Errno::AGAIN)),
    };
    pid.map(|pid| (pid, Vec::new())).ok_or(errno(Errno::SRCH))
}

fn host_name(meant: &Meant) -> Result<(u32, Vec<u8>), Failure> {
    let pid = match meant {
        Meant::Container { pid, .. } => pid.ok_or(errno(Errno::NOENT))?,
        Meant::Process(pid) => *pid,
        Meant::Later(_) => return Err(errno(Errno::AGAIN)),
    };
    match host_names::of_process(pid) {
        Ok(name) => Ok((pid, name)),
        Err(error) => Err(failure(&error)),
    }
}

fn container(found: &Result<(u32, Vec<u8>), Failure>) -> Result<Container<'_>, Failure> {
    match found {
        Ok((pid, text)) => Ok(Container {
            pid: pid.cast_signed(),
            text: TextOrNone::new(text).map_err(|_| errno(Errno::NAMETOOLONG))?,
        }),
        Err(failure) => Err(*failure),
    }
}

fn errno(error: Errno) -> Failure {
    Failure::from_errno(error.raw_os_error())
}

/// What the system said, as clients understand it.
pub(crate) fn failure(error: &io::Error) -> Failure {
    error
        .raw_os_error()
        .and_then(|code| Failure::new(Status::from_errno(code)))
        .unwrap_or(Failure::GENERIC)
}
