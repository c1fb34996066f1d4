//! One try with one address of a server, in one version of the protocol: TCP's connection, then the
//! dialogue.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, connect, getsockname, recv, send, sockopt};
use socks_proto::{Client, Credentials, Progress, Version};

use crate::candidates::{Candidate, Surroundings};
use crate::credentials::{self, Pair};
use crate::dial::Destination;
use crate::failure::Failure;
use crate::settings::Settings;

/// The most that one message of a server has: version, reply, reserved, address type, a name of 255
/// bytes with its length, and a port (RFC 1928, section 6).
const LONGEST_MESSAGE: usize = 262;

/// The last server that was seen to speak version 4 only, as [`fingerprint`] has it, so that a program
/// with many connections asks it in version 5 just once.
static SPEAKS_ONLY_4: AtomicU64 = AtomicU64::new(0);

/// What is to be done after a step.
pub(crate) enum Step {
    Wait(PollFlags),
    Done,
    /// The server does not speak this version, and there is an older one to try.
    OtherVersion(Failure),
    Failed(Failure),
}

enum Phase {
    Connecting,
    Talking,
}

/// A try that goes on.
pub(crate) struct Attempt {
    server: SocketAddr,
    version: Version,
    may_fall_back: bool,
    fell_back: bool,
    phase: Phase,
    heard: bool,
    client: Client,
    credentials: Option<Pair>,
    /// When the turn of this server is over.
    pub(crate) until: Instant,
}

impl Attempt {
    /// Begins to connect the socket to the server.
    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, and all of them are its own fields"
    )]
    pub(crate) fn begin(
        socket: BorrowedFd<'_>,
        family: AddressFamily,
        candidate: &Candidate,
        version: Option<Version>,
        destination: &Destination,
        settings: &Settings,
        around: &dyn Surroundings,
        until: Instant,
    ) -> Result<Attempt, Failure> {
        let server = candidate.address;
        let credentials = pair(candidate, settings)?;
        let set = version.or(candidate.version);
        let known_old = SPEAKS_ONLY_4.load(Ordering::Relaxed) == fingerprint(server);
        let version = match set {
            Some(version) => version,
            None if known_old => Version::V4,
            None => Version::V5,
        };
        let version = fitting(version, destination);
        settings.say(&format_args!(
            "asking SOCKS server {server}, version {version}, for {destination}"
        ));
        let login = login(version, credentials.as_ref(), settings, around);
        let client = client(server, version, destination, &login, credentials.as_ref())?;
        let mut attempt = Attempt {
            server,
            version,
            may_fall_back: set.is_none() && version == Version::V5,
            fell_back: false,
            phase: Phase::Connecting,
            heard: false,
            client,
            credentials,
            until,
        };
        attempt.connect(socket, family)?;
        Ok(attempt)
    }

    /// Begins again with the same server in version 4.
    pub(crate) fn older(
        mut self,
        socket: BorrowedFd<'_>,
        family: AddressFamily,
        destination: &Destination,
        settings: &Settings,
        around: &dyn Surroundings,
    ) -> Result<Attempt, Failure> {
        self.version = fitting(Version::V4, destination);
        self.may_fall_back = false;
        self.fell_back = true;
        self.heard = false;
        let credentials = self.credentials.as_ref();
        let login = login(self.version, credentials, settings, around);
        self.client = client(self.server, self.version, destination, &login, credentials)?;
        self.connect(socket, family)?;
        Ok(self)
    }

    /// The version that is spoken.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    fn connect(&mut self, socket: BorrowedFd<'_>, family: AddressFamily) -> Result<(), Failure> {
        let address = in_family(self.server, family);
        if address.is_ipv6() && self.server.is_ipv4() {
            let _ = sockopt::set_ipv6_v6only(socket, false);
        }
        self.phase = match retry_on_intr(|| connect(socket, &address)) {
            Ok(()) => Phase::Talking,
            Err(Errno::INPROGRESS) => Phase::Connecting,
            Err(errno) => return Err(Failure::unreachable(self.server, errno)),
        };
        Ok(())
    }

    /// Does what can be done now.
    pub(crate) fn step(&mut self, socket: BorrowedFd<'_>, destination: &Destination) -> Step {
        loop {
            let exchanged = if self.client.outgoing().is_empty() {
                self.listen(socket, destination)
            } else {
                self.speak(socket)
            };
            match exchanged {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(Errno::AGAIN) if self.client.outgoing().is_empty() => {
                    return Step::Wait(PollFlags::IN);
                }
                Err(Errno::AGAIN) => return Step::Wait(PollFlags::OUT),
                Err(errno) => return self.broken(errno),
            }
        }
    }

    /// On loopback, a connection to a free port of the ephemeral range can meet itself.
    fn met_itself(&self, socket: BorrowedFd<'_>) -> bool {
        self.server.ip().is_loopback()
            && getsockname(socket).is_ok_and(|own| {
                SocketAddr::try_from(own).is_ok_and(|own| {
                    own.port() == self.server.port()
                        && own.ip().to_canonical() == self.server.ip().to_canonical()
                })
            })
    }

    /// TCP takes nothing before its connection is there, and tells why there is none: nobody has to
    /// ask it before.
    fn speak(&mut self, socket: BorrowedFd<'_>) -> Result<Option<Step>, Errno> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let count = retry_on_intr(|| send(socket, self.client.outgoing(), flags))?;
        self.client.sent(count);
        if let Phase::Connecting = self.phase {
            if self.met_itself(socket) {
                return Err(Errno::CONNREFUSED);
            }
            self.phase = Phase::Talking;
        }
        Ok(None)
    }

    fn listen(
        &mut self,
        socket: BorrowedFd<'_>,
        destination: &Destination,
    ) -> Result<Option<Step>, Errno> {
        let mut buffer = [0; LONGEST_MESSAGE];
        let wanted = self.client.wanted().min(buffer.len());
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        let (count, _) = retry_on_intr(|| recv(socket, &mut *room, RecvFlags::DONTWAIT))?;
        if count == 0 {
            return Ok(Some(self.broken(Errno::CONNRESET)));
        }
        let heard = std::mem::replace(&mut self.heard, true);
        match self.client.received(room.get(..count).unwrap_or_default()) {
            Ok(Progress::More) => Ok(None),
            Ok(Progress::Connected(_)) => {
                self.remember();
                // The answer is acknowledged now: until it is, a server's Nagle algorithm keeps back
                // what the destination says first, and a delayed acknowledgement takes 40 ms.
                let _ = sockopt::set_tcp_quickack(socket, true);
                Ok(Some(Step::Done))
            }
            Err(error) => {
                let failure = Failure::dialogue(self.server, destination, &error);
                let other = !heard && self.may_fall_back && error.looks_like_another_version();
                Ok(Some(if other {
                    Step::OtherVersion(failure)
                } else {
                    Step::Failed(failure)
                }))
            }
        }
    }

    /// There is no connection, or the server ended it. One that has not said a word may not know this
    /// version.
    fn broken(&self, errno: Errno) -> Step {
        let server = self.server;
        if let Phase::Connecting = self.phase {
            return Step::Failed(Failure::unreachable(server, errno));
        }
        let what = format!("SOCKS server {server} ended the dialogue before its answer: {errno}");
        let failure = Failure::server(errno, what);
        if self.may_fall_back && !self.heard {
            Step::OtherVersion(failure)
        } else {
            Step::Failed(failure)
        }
    }

    /// Remembers a server that took version 4 after it had not taken 5.
    fn remember(&self) {
        if self.fell_back {
            SPEAKS_ONLY_4.store(fingerprint(self.server), Ordering::Relaxed);
        }
    }
}

/// The user that SOCKS 4 tells the server; SOCKS 5 does not, and looking one up can take its time.
fn login(
    version: Version,
    credentials: Option<&Pair>,
    settings: &Settings,
    around: &dyn Surroundings,
) -> String {
    match (version, credentials, &settings.user) {
        (Version::V5, _, _) => String::new(),
        (_, Some(pair), _) => pair.user.clone(),
        (_, None, Some(user)) => user.clone(),
        (_, None, None) => around.login(),
    }
}

/// Only version 4a has words for a name, where version 4 is spoken.
fn fitting(version: Version, destination: &Destination) -> Version {
    match (version, destination) {
        (Version::V4, Destination::Name { .. }) => Version::V4a,
        (version, _) => version,
    }
}

fn pair(candidate: &Candidate, settings: &Settings) -> Result<Option<Pair>, Failure> {
    if let Some(path) = &candidate.credentials {
        let read = credentials::read(path);
        return read
            .map(Some)
            .map_err(|error| Failure::server(Errno::ACCESS, error.to_string()));
    }
    Ok(match (&settings.user, &settings.password) {
        (Some(user), Some(password)) => Some(Pair {
            user: user.clone(),
            password: password.clone(),
        }),
        _ => None,
    })
}

fn client(
    server: SocketAddr,
    version: Version,
    destination: &Destination,
    login: &str,
    credentials: Option<&Pair>,
) -> Result<Client, Failure> {
    let credentials = credentials.map(|pair| Credentials {
        user: &pair.user,
        password: &pair.password,
    });
    Client::new(version, &destination.target(), login, credentials.as_ref())
        .map_err(|error| Failure::request(server, &error))
}

/// The server's address as a socket of the family takes it.
fn in_family(server: SocketAddr, family: AddressFamily) -> SocketAddr {
    match server.ip() {
        IpAddr::V4(address) if family == AddressFamily::INET6 => {
            SocketAddr::new(address.to_ipv6_mapped().into(), server.port())
        }
        _ => server,
    }
}

/// A number that is not 0 and tells servers apart well enough.
fn fingerprint(server: SocketAddr) -> u64 {
    let bytes = match server.ip() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let folded = (bytes >> 64) ^ bytes ^ (u128::from(server.port()) << 40);
    u64::try_from(folded & u128::from(u64::MAX)).unwrap_or(0) | 1 << 63
}
