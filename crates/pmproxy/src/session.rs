//! One client, from its connection to the hand-over of its session to the relay: greeting, host and
//! port, connecting to that pmcd, or telling the client why not.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gate::dial::{DialError, Dialer, Dialled, Turn};
use gate::limits::Place;
use gate::policy::{Client, Grant, Policy};
use gate::relay::{End, Handover, Relay, Summary};
use gate::stream::{Peer, Stream};
use gate::throttle::Throttle;
use pcp_proto::greeting::{
    CLIENT_HELLO, HelloError, MAX_TARGET_LINE, SERVER_HELLO, Target, TargetError,
    parse_client_hello, parse_target,
};
use pcp_proto::{ErrorPdu, LengthError, Pdu, PduLimit, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::counters::{Counters, Reason};
use crate::inspector::PduInspector;
use crate::presence::{Guests, Presence};
use crate::targets::Connection;

/// Room for the greeting, the line with host and port, and first PDUs that come along with them.
const GREETING_ROOM: usize = 2 * (CLIENT_HELLO.len() + MAX_TARGET_LINE);

/// A client that was told why it is not served has this long to take note, so that closing does not
/// overtake the message.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client may still send meanwhile, in bytes.
const FAREWELL_BYTES: usize = 64 * 1024;

/// What the relay keeps of a session for its end.
#[derive(Debug)]
pub(crate) struct Ticket {
    peer: Peer,
    target: Target,
    presence: Presence,
    _connection: Connection,
    _place: Place,
    _grant: Grant,
}

impl Ticket {
    /// The client's number among those that are there.
    pub(crate) fn number(&self) -> u64 {
        self.presence.number()
    }
}

/// The relay as this daemon uses it.
pub(crate) type PcpRelay = Relay<PduInspector, Ticket>;

/// Why a client's session did not begin.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("it stalled in the greeting for {0:?}")]
    Stalled(Duration),
    #[error("it left in the greeting")]
    Left,
    #[error("there are as many clients as there may be (wanted {0})")]
    Full(Target),
    #[error("wanted {target}: {source}")]
    Unreachable { target: Target, source: DialError },
    #[error("{}", gate::describe(.0))]
    System(#[source] io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Refusal::Left,
            _ => Refusal::System(error),
        }
    }
}

impl Refusal {
    fn reason(&self) -> Reason {
        match self {
            Refusal::Hello(_) => Reason::Greeting,
            Refusal::Target(_) => Reason::Target,
            Refusal::Stalled(_) => Reason::Stalled,
            Refusal::Left => Reason::Left,
            Refusal::Full(_) => Reason::Full,
            Refusal::Unreachable { source, .. } => match source {
                DialError::Denied(denial) if denial.is_temporary() => Reason::Limited,
                DialError::Denied(_) => Reason::Denied,
                DialError::Unresolved { .. } | DialError::NoAddress { .. } => Reason::Unresolved,
                DialError::Unreachable { .. } | DialError::TimedOut { .. } => Reason::Unreachable,
            },
            Refusal::System(_) => Reason::System,
        }
    }

    /// What a client that waits for pmcd's first PDU is told; one that has not come so far speaks no
    /// protocol in which it could be told anything.
    fn status(&self) -> Option<Status> {
        match self {
            Refusal::Full(_) => Some(Status::CONNECTION_LIMIT),
            Refusal::Unreachable { source, .. } => Some(match source {
                DialError::Denied(denial) if denial.is_temporary() => Status::CONNECTION_LIMIT,
                DialError::Denied(_) => Status::PERMISSION,
                other => Status::from_errno(other.errno()),
            }),
            _ => None,
        }
    }

    /// A client that looks whether the port is open, or gives up, is nothing to warn about.
    fn is_noteworthy(&self) -> bool {
        !matches!(self, Refusal::Left)
    }
}

/// The access policy in force.
#[derive(Debug)]
pub(crate) struct Access(RwLock<Policy>);

impl Access {
    pub(crate) fn new(policy: Policy) -> Access {
        Access(RwLock::new(policy))
    }

    /// The policy for a client that asks now.
    fn policy(&self) -> Policy {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another policy in force. Sessions go on; those under the same rule still count.
    pub(crate) fn replace(&self, policy: &Policy) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = policy.succeeding(&current);
    }
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    pub(crate) guests: Guests,
    pub(crate) throttle: Throttle,
    pub(crate) dialer: Dialer,
    pub(crate) access: Access,
    pub(crate) greeting_limit: Duration,
    pub(crate) pdu_limit: PduLimit,
    /// Whether PDUs are counted by type.
    pub(crate) count_pdus: bool,
}

impl Shared {
    /// Serves a client until its session is handed over or refused.
    pub(crate) async fn serve(
        &self,
        relay: &PcpRelay,
        mut stream: Stream,
        peer: Peer,
        place: Place,
    ) {
        self.counters.clients.inc();
        tracing::debug!(target: "context", "client {peer} connected");
        let presence = self.guests.enter(peer);
        match self.admit(&mut stream, peer, &presence, &place).await {
            Ok((target, server, early)) => {
                tracing::debug!(target: "context", "client {peer} is connected to {target}");
                let Dialled {
                    stream: server,
                    turn,
                    grant,
                } = server;
                presence.relaying();
                let ticket = Ticket {
                    peer,
                    _connection: self.counters.targets.connect(&target),
                    target,
                    presence,
                    _place: place,
                    _grant: grant,
                };
                if let Err(error) = self.hand_over(relay, stream, (server, turn), early, ticket) {
                    self.note_refusal(peer, &error.into());
                }
            }
            Err(refusal) => {
                self.note_refusal(peer, &refusal);
                if let Some(status) = refusal.status() {
                    tell(stream, status).await;
                }
            }
        }
    }

    /// Greets the client and connects to the pmcd that it names. Gives what the client sent beyond.
    async fn admit(
        &self,
        stream: &mut Stream,
        peer: Peer,
        presence: &Presence,
        place: &Place,
    ) -> Result<(Target, Dialled, Vec<u8>), Refusal> {
        let limit = self.greeting_limit;
        let greeted = timeout(limit, greet(stream)).await;
        let (target, early) = greeted.map_err(|_| Refusal::Stalled(limit))??;
        if place.is_over_limit() {
            return Err(Refusal::Full(target));
        }
        presence.connecting(&target);
        match self.dial(&target, peer).await {
            Ok(server) => Ok((target, server, early)),
            Err(source) => Err(Refusal::Unreachable { target, source }),
        }
    }

    /// Connects to a pmcd, and takes note of how long that took.
    async fn dial(&self, target: &Target, peer: Peer) -> Result<Dialled, DialError> {
        let (client, policy) = (Client::new(peer), self.access.policy());
        let begun = Instant::now();
        let dialled = self
            .dialer
            .dial(target.host(), target.port(), &client, &policy)
            .await;
        match &dialled {
            Ok(_) => self.counters.connected.observe(begun.elapsed()),
            // Nothing was tried.
            Err(DialError::Denied(_)) => {}
            Err(_) => self.counters.failed.observe(begun.elapsed()),
        }
        dialled
    }

    fn hand_over(
        &self,
        relay: &PcpRelay,
        client: Stream,
        (server, turn): (TcpStream, Turn),
        early: Vec<u8>,
        tag: Ticket,
    ) -> io::Result<()> {
        let handover = Handover {
            client: client.into_fd()?,
            server: Stream::Tcp(server).into_fd()?,
            early,
            inspector: PduInspector::new(self.pdu_limit, turn, self.count_pdus),
            tag,
        };
        relay
            .hand_over(handover)
            .map_err(|_| io::Error::other("the daemon is shutting down"))
    }

    /// Takes note of a client for which there is no room at all; its connection closes at once.
    pub(crate) fn turn_away(&self, peer: Peer) {
        self.counters.clients.inc();
        self.counters.refuse(Reason::Full);
        self.warn(|| format!("client {peer} is not served: far more clients than there may be"));
    }

    /// Takes note of how a session ended; runs in a thread of the relay.
    pub(crate) fn ended(&self, ticket: &Ticket, summary: &Summary<LengthError>) {
        let Ticket { peer, target, .. } = ticket;
        if let End::Refused(_, error) = &summary.end {
            self.counters.refuse(Reason::PduLength);
            self.warn(|| format!("client {peer} of {target} is disconnected: {error}"));
        }
        tracing::debug!(
            target: "context",
            "client {peer} of {target} ended: {}; {} bytes to pmcd, {} bytes to the client, {:.3} s",
            tell_end(&summary.end), summary.to_server, summary.to_client,
            summary.lasted.as_secs_f64(),
        );
    }

    fn note_refusal(&self, peer: Peer, refusal: &Refusal) {
        self.counters.refuse(refusal.reason());
        if refusal.is_noteworthy() {
            self.warn(|| format!("client {peer} is not served: {refusal}"));
        } else {
            tracing::debug!(target: "context", "client {peer} is not served: {refusal}");
        }
    }

    /// Warns, unless clients have provoked too many warnings of late.
    pub(crate) fn warn(&self, message: impl FnOnce() -> String) {
        match self.throttle.admit() {
            None => {}
            Some(0) => tracing::warn!("{}", message()),
            Some(kept_back) => {
                tracing::warn!("{} ({kept_back} more warnings were kept back)", message());
            }
        }
    }
}

fn tell_end(end: &End<LengthError>) -> String {
    match end {
        End::Closed(side) => format!("the {side} closed the connection"),
        End::Failed(side, error) => {
            format!("the {side}'s connection failed: {}", gate::describe(error))
        }
        End::Refused(side, error) => format!("the {side} broke the protocol: {error}"),
        End::Abandoned(side) => format!("the {side} closed, and the other side fell silent"),
        End::Shutdown => "pmproxy shut down".into(),
    }
}

/// Reads the greeting and the line with host and port, and answers in between.
async fn greet(stream: &mut Stream) -> Result<(Target, Vec<u8>), Refusal> {
    let mut received = Vec::with_capacity(GREETING_ROOM);
    let hello = loop {
        if let Some(length) = parse_client_hello(&received)? {
            break length;
        }
        receive(stream, &mut received).await?;
    };
    stream.write_all(SERVER_HELLO).await?;
    received.drain(..hello);
    loop {
        if let Some((target, length)) = parse_target(&received)? {
            received.drain(..length);
            return Ok((target, received));
        }
        receive(stream, &mut received).await?;
    }
}

/// Reads what has come, as far as there is room; the parsers give up before it is full.
async fn receive(stream: &mut Stream, received: &mut Vec<u8>) -> Result<(), Refusal> {
    let room = GREETING_ROOM.saturating_sub(received.len()) as u64;
    match stream.take(room).read_buf(received).await? {
        0 => Err(Refusal::Left),
        _ => Ok(()),
    }
}

/// Tells a client that waits for its pmcd why it will not get one, and closes. It does so promptly:
/// a client with several ports to try goes on to the next.
async fn tell(mut stream: Stream, status: Status) {
    let farewell = async {
        stream
            .write_all(&ErrorPdu::refusal(status).encode(0))
            .await?;
        stream.shutdown().await?;
        // Closing with bytes unread would reset the connection, and the message might be lost.
        let mut ignored = [0; 1024];
        let mut left = FAREWELL_BYTES;
        while left > 0 {
            match stream.read(&mut ignored).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        io::Result::Ok(())
    };
    // A client that has gone needs no answer.
    let _ = timeout(FAREWELL, farewell).await;
}

/// A way for the relay's threads to reach what all sessions share.
pub(crate) fn on_end(
    shared: &Arc<Shared>,
) -> impl Fn(Ticket, Summary<LengthError>) + Clone + use<> {
    let shared = Arc::clone(shared);
    move |ticket, summary| shared.ended(&ticket, &summary)
}
