//! One client, from its connection to the hand-over of its session to the relay: greeting, host and
//! port, connecting to that pmcd, or telling the client why not.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gate::dial::{DialError, Dialer, Dialled, Turn};
use gate::limits::Place;
use gate::policy::{Client, Grant, Identity, Policy};
use gate::relay::{End, Handover, Relay, Summary};
use gate::stream::{Peer, Stream};
use gate::throttle::Throttle;
use gate::tls::{Link, names};
use pcp_proto::greeting::Target;
use pcp_proto::{LengthError, PduLimit};
use tokio::time::{Instant, timeout};

use crate::certificates::Certificates;
use crate::counters::{Counters, Reason};
use crate::greeting::{greet, tell};
use crate::inspector::PduInspector;
use crate::opening::{BY_OPTION, Demands, Opening};
use crate::presence::{Guests, Presence};
use crate::refusal::{OpeningProblem, Refusal};
use crate::secure_channels::SecureChannels;
use crate::targets::Connection;

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

/// A session that the relay may have.
struct Admitted {
    target: Target,
    session: Session,
    grant: Grant,
}

/// What the relay needs of it, beside the client's link.
struct Session {
    server: Link,
    early: Vec<u8>,
    inspector: PduInspector,
}

/// The relay as this daemon uses it.
pub(crate) type PcpRelay = Relay<PduInspector, Ticket>;

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
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) demands: Demands,
    /// How long a client may take for its part of the beginning.
    pub(crate) greeting_limit: Duration,
    /// How long pmcd may take for its part.
    pub(crate) pmcd_limit: Duration,
    pub(crate) pdu_limit: PduLimit,
    /// Whether PDUs are counted by type.
    pub(crate) count_pdus: bool,
}

impl Shared {
    /// Serves a client until its session is handed over or refused.
    pub(crate) async fn serve(&self, relay: &PcpRelay, stream: Stream, peer: Peer, place: Place) {
        self.counters.clients.inc();
        tracing::debug!(target: "context", "client {peer} connected");
        let mut link = Link::Plain(stream);
        let presence = self.guests.enter(peer);
        match self.admit(&mut link, peer, &presence, &place).await {
            Ok(admitted) => {
                let target = &admitted.target;
                tracing::debug!(target: "context", "client {peer} is connected to {target}");
                presence.relaying();
                let ticket = Ticket {
                    peer,
                    _connection: self.counters.targets.connect(target),
                    target: admitted.target,
                    presence,
                    _place: place,
                    _grant: admitted.grant,
                };
                if let Err(error) = hand_over(relay, link, admitted.session, ticket) {
                    self.note_refusal(peer, &error.into());
                }
            }
            Err(refusal) => {
                self.note_refusal(peer, &refusal);
                if let Some(answer) = refusal.answer() {
                    tell(link, answer).await;
                }
            }
        }
    }

    /// Greets the client, connects to the pmcd that it names, and sees to their secure channels.
    async fn admit(
        &self,
        link: &mut Link,
        peer: Peer,
        presence: &Presence,
        place: &Place,
    ) -> Result<Admitted, Refusal> {
        let secure = self.certificates.current();
        let limit = self.greeting_limit;
        let config = secure.server.as_ref().map(|server| &server.config);
        let greeted = timeout(limit, greet(link, config)).await;
        let (target, early) = greeted.map_err(|_| Refusal::Stalled(limit))??;
        if place.is_over_limit() {
            return Err(Refusal::Full(target));
        }
        let has_none = link.is_secure() && link.peer_certificates().is_empty();
        if has_none && secure.require_certificate_of(peer) {
            let problem = OpeningProblem::NeedsCertificate(BY_OPTION);
            return Err(Refusal::before_greeting(target, problem));
        }
        presence.connecting(&target);
        let policy = self.access.policy();
        let mut client = Client::new(peer);
        client.certificate = identity(link, secure.server.is_some());
        let dialled = match self.dial(&target, &client, &policy).await {
            Ok(dialled) => dialled,
            Err(source) => return Err(Refusal::Unreachable { target, source }),
        };
        let beginning = Beginning {
            shared: self,
            secure: &secure,
            policy: &policy,
            client,
            target,
        };
        beginning.finish(link, early, dialled).await
    }

    /// Connects to a pmcd, and takes note of how long that took.
    async fn dial(
        &self,
        target: &Target,
        client: &Client,
        policy: &Policy,
    ) -> Result<Dialled, DialError> {
        let begun = Instant::now();
        let (host, port) = (target.host(), target.port());
        let dialled = self.dialer.dial(host, port, client, policy).await;
        match &dialled {
            Ok(_) => self.counters.connected.observe(begun.elapsed()),
            // Nothing was tried.
            Err(DialError::Denied(_)) => {}
            Err(_) => self.counters.failed.observe(begun.elapsed()),
        }
        dialled
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

/// A session whose pmcd is connected, as long as client and pmcd have their first words.
struct Beginning<'a> {
    shared: &'a Shared,
    secure: &'a SecureChannels,
    policy: &'a Policy,
    client: Client,
    target: Target,
}

impl Beginning<'_> {
    /// Sees to secure channels, certificates and authentication, where there is anything to see to.
    async fn finish(
        self,
        link: &mut Link,
        early: Vec<u8>,
        dialled: Dialled,
    ) -> Result<Admitted, Refusal> {
        let Dialled {
            stream,
            turn,
            grant,
        } = dialled;
        let address = stream.peer_addr()?;
        let mut server = Link::Plain(Stream::Tcp(stream));
        let limit = self.shared.pdu_limit;
        let pmcd_is_here = address.ip().to_canonical().is_loopback();
        let mut opening = Opening {
            demands: self.shared.demands,
            secure: self.secure,
            client_peer: self.client.peer,
            pmcd_is_here,
            host: self.target.host(),
            client: link,
            pmcd: &mut server,
            client_limit: self.shared.greeting_limit,
            pmcd_limit: self.shared.pmcd_limit,
        };
        if !opening.has_to_listen() {
            let inspector = PduInspector::new(limit, turn, self.shared.count_pdus);
            let session = Session {
                server,
                early,
                inspector,
            };
            return Ok(Admitted {
                target: self.target,
                session,
                grant,
            });
        }
        let offered = match opening.pass_greeting().await {
            Ok(offered) => offered,
            Err(problem) => return Err(Refusal::before_greeting(self.target, problem)),
        };
        drop(turn);
        let confirm = |grant: Grant, link: &Link| {
            let mut client = self.client.clone();
            client.certificate = identity(link, false);
            let host = self.target.host();
            self.policy.confirm(grant, &client, host, address)
        };
        let opened = match opening.proceed(offered, early, grant, confirm).await {
            Ok(opened) => opened,
            Err(problem) => return Err(Refusal::after_greeting(self.target, problem)),
        };
        let mut inspector = PduInspector::new(limit, Turn::default(), self.shared.count_pdus);
        if opened.credentials_are_through {
            inspector.expect_no_credentials();
        }
        if link.is_secure() {
            inspector.enter_channel();
        }
        let session = Session {
            server,
            early: opened.early,
            inspector,
        };
        Ok(Admitted {
            target: self.target,
            session,
            grant: opened.grant,
        })
    }
}

fn hand_over(relay: &PcpRelay, client: Link, session: Session, tag: Ticket) -> io::Result<()> {
    let handover = Handover {
        client: client.into_leg()?,
        server: session.server.into_leg()?,
        early: session.early,
        inspector: session.inspector,
        tag,
    };
    relay
        .hand_over(handover)
        .map_err(|_| io::Error::other("the daemon is shutting down"))
}

/// Who the client is by its certificate; `hopeful` says whether one may still come.
fn identity(link: &Link, hopeful: bool) -> Identity {
    match link.peer_certificates().first() {
        Some(certificate) => Identity::Known(names(certificate)),
        None if hopeful && !link.is_secure() => Identity::Pending,
        None => Identity::Absent,
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
        End::Dismissed => "it was told to end".into(),
        End::Shutdown => "pmproxy shut down".into(),
    }
}

/// A way for the relay's threads to reach what all sessions share.
pub(crate) fn on_end(
    shared: &Arc<Shared>,
) -> impl Fn(Ticket, Summary<LengthError>) + Clone + use<> {
    let shared = Arc::clone(shared);
    move |ticket, summary| shared.ended(&ticket, &summary)
}
