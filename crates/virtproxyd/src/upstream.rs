//! The way to a modular daemon: connecting, opening the driver there, and saying for whom.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gate::stream::Stream;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};
use virt_proto::{
    AuthList, AuthPolkit, AuthType, Call, ErrorNumber, FrameLimit, Identity, MessageType, Open,
    OpenFlags, Payload, Program, RemoteError, Serial, SetIdentity, Status, keepalive,
};

use crate::autostart;
use crate::frames::{Frame, FrameError, FrameReader};

/// How long a daemon may take until it has answered everything: one that systemd only now starts
/// may have a lot to do first.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long to wait for a place in the daemon's queue of connections before trying again.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

/// What is to be opened.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) socket: PathBuf,
    pub(crate) uri: String,
    pub(crate) flags: OpenFlags,
    pub(crate) identity: Identity,
    /// The program to start where nobody listens.
    pub(crate) program: Option<PathBuf>,
}

/// A daemon that has opened a driver.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    /// Why it does not know who the client is, if it cannot be told.
    pub(crate) unaware: Option<String>,
}

/// Why nothing was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The daemon cannot be reached.
    #[error("Failed to connect socket to '{}': {}", .path.display(), gate::describe(.error))]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The daemon said no; its error as it came.
    #[error("{error}")]
    Refused {
        /// What it said.
        error: RemoteError,
        /// The payload of its reply.
        payload: Vec<u8>,
    },
    /// The daemon does not behave like one.
    #[error("the daemon at '{}' {reason}", .path.display())]
    Odd {
        /// Its socket.
        path: PathBuf,
        /// What it did.
        reason: String,
    },
}

impl OpenError {
    /// The payload of the error that the client gets.
    pub(crate) fn into_payload(self) -> Vec<u8> {
        let message = self.to_string();
        match self {
            OpenError::Refused { payload, .. } => payload,
            OpenError::Unreachable { error, .. } => {
                RemoteError::system(error.raw_os_error().unwrap_or_default(), &message).encode()
            }
            OpenError::Odd { .. } => RemoteError::rpc(&message).encode(),
        }
    }
}

/// Connects to a daemon and opens the driver. Cancelling frees the connection.
pub(crate) async fn open(request: Request) -> Result<Opened, OpenError> {
    let path = request.socket.clone();
    let limited = timeout(PATIENCE, try_to_open(request)).await;
    limited.unwrap_or_else(|_| {
        let reason = format!("has not answered within {} s", PATIENCE.as_secs());
        Err(OpenError::Odd { path, reason })
    })
}

async fn try_to_open(request: Request) -> Result<Opened, OpenError> {
    let mut stream = connect(&request.socket).await;
    if let (Err(error), Some(program)) = (&stream, &request.program)
        && autostart::would_help(error)
    {
        stream = autostart::connect(program, &request.socket).await;
    }
    let stream = stream.map_err(|error| OpenError::Unreachable {
        path: request.socket.clone(),
        error,
    })?;
    let mut daemon = Daemon {
        stream,
        reader: FrameReader::new(FrameLimit::CURRENT),
        path: request.socket,
        next_serial: 0,
    };
    daemon.authenticate().await?;
    let open = Open {
        name: Some(request.uri),
        flags: request.flags,
    };
    daemon.call(&open).await?;
    let unaware = daemon.tell_identity(request.identity).await?;
    Ok(Opened {
        stream: Stream::Unix(daemon.stream),
        unaware,
    })
}

/// A full queue of connections is no error for a blocking client of C's; here it is waited for.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                sleep(QUEUE_PAUSE).await;
            }
            result => return result,
        }
    }
}

/// The first words with a daemon.
struct Daemon {
    stream: UnixStream,
    reader: FrameReader,
    path: PathBuf,
    next_serial: u32,
}

impl Daemon {
    async fn authenticate(&mut self) -> Result<(), OpenError> {
        let types = self.call(&AuthList).await?;
        match types.0.first() {
            None | Some(&AuthType::NONE) => Ok(()),
            Some(&AuthType::POLKIT) => self.call(&AuthPolkit).await.map(|_| ()),
            Some(other) => Err(self.odd(format!(
                "asks virtproxyd to authenticate itself by {other:?}"
            ))),
        }
    }

    /// Says who the client is; gives the reason where the daemon is too old to be told.
    async fn tell_identity(&mut self, identity: Identity) -> Result<Option<String>, OpenError> {
        match self.call(&SetIdentity::from(identity)).await {
            Ok(()) => Ok(None),
            Err(OpenError::Refused { error, .. })
                if [ErrorNumber::RPC, ErrorNumber::NO_SUPPORT].contains(&error.number) =>
            {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn call<C: Call>(&mut self, call: &C) -> Result<C::Reply, OpenError> {
        let serial = Serial(self.next_serial);
        self.next_serial = self.next_serial.wrapping_add(1);
        let sent = self.stream.write_all(&call.frame(serial)).await;
        sent.map_err(|error| self.odd(format!("takes no calls: {}", gate::describe(&error))))?;
        let reply = self.reply::<C>(serial).await?;
        let Some(payload) = reply.payload else {
            return Err(self.odd(format!("gave far too long an answer to {:?}", C::PROCEDURE)));
        };
        if reply.header.status == Status::ERROR {
            let error = RemoteError::decode(&payload);
            let error = error.map_err(|error| self.odd(format!("sent a broken error: {error}")))?;
            return Err(OpenError::Refused { error, payload });
        }
        C::Reply::decode(&payload)
            .map_err(|error| self.odd(format!("sent a broken answer: {error}")))
    }

    /// The answer to a call. Pings are answered, events (there should be none) passed over.
    async fn reply<C: Call>(&mut self, serial: Serial) -> Result<Frame, OpenError> {
        loop {
            let frame = match self.reader.next(&mut self.stream).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(self.odd("closed the connection".into())),
                Err(FrameError::Io(error)) => {
                    let error = gate::describe(&error);
                    return Err(self.odd(format!("closed the connection: {error}")));
                }
                Err(error) => return Err(self.odd(format!("broke the protocol: {error}"))),
            };
            let header = frame.header;
            if keepalive::procedure(header) == Some(keepalive::PING) {
                let pong = keepalive::header(keepalive::PONG).frame(&());
                let sent = self.stream.write_all(&pong).await;
                sent.map_err(|error| self.odd(gate::describe(&error)))?;
            } else if header.program == Program::REMOTE
                && header.message_type == MessageType::REPLY
                && header.procedure == C::PROCEDURE
                && header.serial == serial
            {
                return Ok(frame);
            } else if header.message_type != MessageType::MESSAGE {
                return Err(self.odd(format!("sent what nobody asked for: {header:?}")));
            }
        }
    }

    fn odd(&self, reason: String) -> OpenError {
        OpenError::Odd {
            path: self.path.clone(),
            reason,
        }
    }
}
