//! One connection on a socket of our own, as a program's would be made.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect as connect_socket, socket_with};
use socks_conf::Server;
use socks_dial::{Destination, Dial, Failure, Route, Settings, Status};

use crate::around::Around;

/// How to get there.
pub(super) enum Way<'a> {
    Direct,
    Through(&'a [Server]),
}

/// A connection that was made.
pub(super) struct Success {
    route: Option<Route>,
    took: Duration,
}

impl fmt::Display for Success {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connected ")?;
        match self.route {
            Some(Route { server, version }) => {
                write!(
                    formatter,
                    "through SOCKS server {server}, version {version}"
                )?;
            }
            None => formatter.write_str("directly")?,
        }
        write!(formatter, ", in {}", Seconds(self.took))
    }
}

/// One that was not.
pub(super) struct Trouble {
    why: Why,
    took: Duration,
}

enum Why {
    Failure(Failure),
    Errno(Errno),
    /// There is no address to connect to directly.
    NoAddress,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "after {}: ", Seconds(self.took))?;
        match &self.why {
            Why::Failure(failure) => write!(formatter, "{failure}"),
            Why::Errno(errno) => write!(formatter, "{}", std::io::Error::from(*errno)),
            Why::NoAddress => formatter.write_str("without a SOCKS server nobody can resolve it"),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3} s", self.0.as_secs_f64())
    }
}

/// Connects, within the time that the settings give.
pub(super) fn connect(
    way: &Way<'_>,
    destination: &Destination,
    settings: &Settings,
    around: &Around,
) -> Result<Success, Trouble> {
    let begin = Instant::now();
    let connected = match (way, destination) {
        (Way::Direct, Destination::Address(address)) => {
            directly(*address, begin + settings.timeout).map(|()| None)
        }
        (Way::Direct, Destination::Name { .. }) => Err(Why::NoAddress),
        (Way::Through(servers), _) => through(servers, destination, settings, around).map(Some),
    };
    let took = begin.elapsed();
    match connected {
        Ok(route) => Ok(Success { route, took }),
        Err(why) => Err(Trouble { why, took }),
    }
}

fn through(
    servers: &[Server],
    destination: &Destination,
    settings: &Settings,
    around: &Around,
) -> Result<Route, Why> {
    let socket = socket_for(match destination {
        Destination::Address(SocketAddr::V6(_)) => AddressFamily::INET6,
        Destination::Address(SocketAddr::V4(_)) | Destination::Name { .. } => AddressFamily::INET,
    })?;
    let mut dial = Dial::new(
        socket,
        destination.clone(),
        servers,
        settings,
        Instant::now(),
    );
    loop {
        match dial.drive(Instant::now(), around) {
            Status::Waiting { events, until } => {
                wait(dial.socket(), events, until).map_err(Why::Errno)?;
            }
            Status::Connected(route) => return Ok(route),
            Status::Failed(failure) => return Err(Why::Failure(failure)),
        }
    }
}

fn directly(address: SocketAddr, until: Instant) -> Result<(), Why> {
    let socket = socket_for(match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    })?;
    match connect_socket(&socket, &address) {
        Ok(()) => return Ok(()),
        Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(Why::Errno(errno)),
    }
    let socket = std::os::fd::AsFd::as_fd(&socket);
    if !wait(socket, PollFlags::OUT, until).map_err(Why::Errno)? {
        return Err(Why::Errno(Errno::TIMEDOUT));
    }
    let outcome = rustix::net::sockopt::socket_error(socket);
    outcome.and_then(|result| result).map_err(Why::Errno)
}

fn socket_for(family: AddressFamily) -> Result<OwnedFd, Why> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None).map_err(Why::Errno)
}

/// Waits for one of the events, or until the time has come. Whether there is an event.
fn wait(socket: BorrowedFd<'_>, events: PollFlags, until: Instant) -> Result<bool, Errno> {
    let left = until.saturating_duration_since(Instant::now());
    // A time that is too long for the system is as good as none.
    let left = Timespec::try_from(left).ok();
    let mut ready = [PollFd::new(&socket, events)];
    Ok(retry_on_intr(|| poll(&mut ready, left.as_ref()))? > 0)
}
