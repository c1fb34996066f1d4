//! What takes the messages of an output. None of them waits, and none of them fails: a log that
//! cannot be written must not hold up or end the daemon, so what cannot be written is lost.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use gate::lifecycle::append_to;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::line::Line;
use super::output::{OutputError, Target};

/// A pipe that is ready takes as much without waiting (`PIPE_BUF`), in bytes.
const READY: usize = 4096;

/// Where the sockets of the system's log services are.
const JOURNAL: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";

/// The sockets of the system's log services.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    pub(super) journal: PathBuf,
    pub(super) syslog: PathBuf,
}

impl Default for Destinations {
    fn default() -> Destinations {
        Destinations {
            journal: JOURNAL.into(),
            syslog: SYSLOG.into(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Sink {
    Stderr,
    File { path: PathBuf, file: File },
    Syslog { name: String, service: Service },
    Journald(Service),
}

/// A service that takes datagrams. It is looked up for each, since it may be restarted.
#[derive(Debug)]
pub(super) struct Service {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Service {
    fn new(path: PathBuf) -> Result<Service, OutputError> {
        let socket = UnixDatagram::unbound().map_err(OutputError::Socket)?;
        socket.set_nonblocking(true).map_err(OutputError::Socket)?;
        Ok(Service { socket, path })
    }

    fn send(&self, message: &str) {
        let _ = self.socket.send_to(message.as_bytes(), &self.path);
    }
}

impl Sink {
    pub(super) fn open(target: &Target, destinations: &Destinations) -> Result<Sink, OutputError> {
        match target {
            Target::Stderr => Ok(Sink::Stderr),
            Target::Journald => Ok(Sink::Journald(Service::new(destinations.journal.clone())?)),
            Target::Syslog(name) => Ok(Sink::Syslog {
                name: name.clone(),
                service: Service::new(destinations.syslog.clone())?,
            }),
            Target::File(path) => match append_to(path) {
                Ok(file) => Ok(Sink::File {
                    path: path.clone(),
                    file,
                }),
                Err(error) => Err(OutputError::Open {
                    path: path.clone(),
                    error,
                }),
            },
        }
    }

    pub(super) fn send(&self, line: &Line<'_>) {
        match self {
            Sink::Stderr => write_when_ready(io::stderr(), line.for_file().as_bytes()),
            Sink::File { file, .. } => {
                let _ = (&mut &*file).write_all(line.for_file().as_bytes());
            }
            Sink::Syslog { name, service } => service.send(&line.for_syslog(name)),
            Sink::Journald(service) => service.send(&line.for_journal()),
        }
    }

    /// Opens a file anew.
    pub(super) fn reopen(&mut self) -> Result<(), OutputError> {
        if let Sink::File { path, file } = self {
            *file = append_to(path).map_err(|error| OutputError::Open {
                path: path.clone(),
                error,
            })?;
        }
        Ok(())
    }
}

/// Standard error is shared with others, so it cannot be made one that never waits. A reader that has
/// stopped loses the rest.
pub(super) fn write_when_ready(mut to: impl Write + AsFd, bytes: &[u8]) {
    for piece in bytes.chunks(READY) {
        if !is_ready(&to) || to.write_all(piece).is_err() {
            return;
        }
    }
}

fn is_ready(to: &impl AsFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(to, PollFlags::OUT)], Some(&now));
    matches!(ready, Ok(1..))
}
