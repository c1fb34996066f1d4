//! One connection in the making: servers are tried in turn until one has connected the socket to its
//! destination, or none is left, or the time is over. Nothing here waits.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, connect_unspec, sockopt};
use socks_conf::Server;
use socks_proto::{Target, Version};

use crate::attempt::{Attempt, Step};
use crate::candidates::{Candidate, Candidates, Surroundings};
use crate::failure::Failure;
use crate::options::ipv6_like;
use crate::settings::Settings;

/// Where a connection is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address.
    Address(SocketAddr),
    /// A name that the SOCKS server is to resolve.
    Name {
        /// The name, of at most 255 bytes.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Address(address) => write!(f, "{address}"),
            Destination::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Destination {
    pub(crate) fn target(&self) -> Target<'_> {
        match self {
            Destination::Address(address) => Target::Address(*address),
            Destination::Name { host, port } => Target::Name { host, port: *port },
        }
    }
}

/// How a connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The SOCKS server.
    pub server: SocketAddr,
    /// The version of the protocol that it was spoken with in.
    pub version: Version,
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on when the socket is ready for one of the events, or the time has come.
    Waiting {
        /// What [`Dial::socket`] is to be polled for.
        events: PollFlags,
        /// When to drive it in any case.
        until: Instant,
    },
    /// The socket is connected to its destination, and what comes out of it is the destination's.
    Connected(Route),
    /// All is over. The program's socket is as if it had never been connected.
    Failed(Failure),
}

/// A connection in the making.
pub struct Dial {
    /// What is being connected.
    socket: OwnedFd,
    /// The program's own, if another had to take its place.
    own: Option<OwnedFd>,
    family: AddressFamily,
    used: bool,
    destination: Destination,
    settings: Settings,
    candidates: Candidates,
    current: Option<(Candidate, Attempt)>,
    deadline: Instant,
    last: Option<Failure>,
}

impl Dial {
    /// Begins with the first of `servers`, or with the settings' own server where there is none, when
    /// it is first driven. `socket` is a stream socket of a family of the internet that does not
    /// block; who has it again later sets that back.
    #[must_use]
    pub fn new(
        socket: OwnedFd,
        destination: Destination,
        servers: &[Server],
        settings: &Settings,
        now: Instant,
    ) -> Dial {
        let servers = if servers.is_empty() {
            settings.server.iter().cloned().collect()
        } else {
            servers.to_vec()
        };
        Dial {
            family: sockopt::socket_domain(&socket).unwrap_or(AddressFamily::INET),
            socket,
            own: None,
            used: false,
            destination,
            candidates: Candidates::new(servers),
            current: None,
            deadline: now + settings.timeout,
            settings: settings.clone(),
            last: None,
        }
    }

    /// What to poll. It may be another one after each call of [`Dial::drive`].
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the connected socket is not the program's own, which was of a family that no server
    /// could be reached in, but a new one with the same options.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.own.is_some()
    }

    /// The connected socket; after a failure, the program's own.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Where the connection is to end.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Does what can be done now.
    pub fn drive(&mut self, now: Instant, around: &dyn Surroundings) -> Status {
        loop {
            if self.current.is_none() {
                match self.begin(now, around) {
                    Ok(attempt) => self.current = Some(attempt),
                    Err(failure) => return self.failed(failure),
                }
            }
            let Some((candidate, attempt)) = &mut self.current else {
                continue;
            };
            match attempt.step(self.socket.as_fd(), &self.destination) {
                Step::Done => {
                    let route = Route {
                        server: candidate.address,
                        version: attempt.version(),
                    };
                    return self.connected(route);
                }
                Step::Wait(events) if now < attempt.until => {
                    let until = attempt.until;
                    return Status::Waiting { events, until };
                }
                Step::Wait(_) => {
                    let failure = Failure::unreachable(candidate.address, Errno::TIMEDOUT);
                    self.lost(failure);
                }
                Step::OtherVersion(failure) => self.fall_back(&failure, around),
                Step::Failed(failure) if failure.is_the_servers_own() => self.lost(failure),
                Step::Failed(failure) => return self.failed(failure),
            }
        }
    }

    fn begin(
        &mut self,
        now: Instant,
        around: &dyn Surroundings,
    ) -> Result<(Candidate, Attempt), Failure> {
        loop {
            let ipv4_first = self.family == AddressFamily::INET;
            let next = self.candidates.next(&self.settings, ipv4_first, around)?;
            let Some(candidate) = next else {
                return Err(self.last.take().unwrap_or_else(|| self.nothing_to_try()));
            };
            match self.attempt(&candidate, None, now, around) {
                Ok(attempt) => return Ok((candidate, attempt)),
                Err(failure) => self.lost(failure),
            }
        }
    }

    fn nothing_to_try(&self) -> Failure {
        let what = format!(
            "no SOCKS server is known for {}: set SOCKS_SERVER, or name one with @= in {}",
            self.destination,
            self.settings.routes_file.display()
        );
        Failure::here(Errno::HOSTUNREACH, what)
    }

    fn attempt(
        &mut self,
        candidate: &Candidate,
        version: Option<Version>,
        now: Instant,
        around: &dyn Surroundings,
    ) -> Result<Attempt, Failure> {
        self.fit(candidate.address)?;
        if self.used {
            self.disconnect();
        }
        self.used = true;
        let left = self.deadline.saturating_duration_since(now);
        let turns = u32::try_from(self.candidates.left() + 1).unwrap_or(u32::MAX);
        let until = now + left / turns;
        Attempt::begin(
            self.socket.as_fd(),
            self.family,
            candidate,
            version,
            &self.destination,
            &self.settings,
            around,
            until,
        )
    }

    /// Puts a socket of the other family in place of an IPv4 one where the server needs it.
    fn fit(&mut self, server: SocketAddr) -> Result<(), Failure> {
        if server.is_ipv4() || self.family == AddressFamily::INET6 {
            return Ok(());
        }
        let new =
            ipv6_like(self.socket.as_fd()).map_err(|errno| Failure::unreachable(server, errno))?;
        let old = std::mem::replace(&mut self.socket, new);
        self.own.get_or_insert(old);
        self.family = AddressFamily::INET6;
        self.used = false;
        Ok(())
    }

    /// The server does not speak version 5: the older one is tried, for the rest of its turn.
    fn fall_back(&mut self, failure: &Failure, around: &dyn Surroundings) {
        let Some((candidate, attempt)) = self.current.take() else {
            return;
        };
        self.settings
            .say(&format_args!("{failure}; trying version 4"));
        self.disconnect();
        match attempt.older(
            self.socket.as_fd(),
            self.family,
            &self.destination,
            &self.settings,
            around,
        ) {
            Ok(attempt) => self.current = Some((candidate, attempt)),
            Err(failure) => self.lost(failure),
        }
    }

    fn lost(&mut self, failure: Failure) {
        self.settings.say(&format_args!("{failure}"));
        self.current = None;
        self.last = Some(failure);
    }

    fn connected(&mut self, route: Route) -> Status {
        self.settings.say(&format_args!(
            "connected to {} through SOCKS server {}, version {}",
            self.destination, route.server, route.version
        ));
        Status::Connected(route)
    }

    fn failed(&mut self, failure: Failure) -> Status {
        self.settings.say(&format_args!(
            "no connection to {}: {failure}",
            self.destination
        ));
        self.current = None;
        if let Some(own) = self.own.take() {
            self.socket = own;
        } else if self.used {
            self.disconnect();
        }
        Status::Failed(failure)
    }

    /// Makes the socket one that was never connected, and takes from it the error that this leaves.
    /// A socket that was not connected yet has nothing to end.
    fn disconnect(&self) {
        let _ = connect_unspec(&self.socket);
        let _ = sockopt::socket_error(&self.socket);
    }
}
