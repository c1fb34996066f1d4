//! One client, from its connection to the hand-over of its session to the relay, and what all
//! sessions share.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use gate::relay::{End, Handover, Leg, Relay, Summary};
use gate::stream::{Peer, Stream};
use gate::throttle::Throttle;
use gate::tls::Link;
use tokio::time::timeout;

use crate::access::UriAccess;
use crate::auth::{AuthSettings, Authentication, Subject};
use crate::certificates::Certificates;
use crate::certificates::channel::open_channel;
use crate::clients::{About, Clients, Presence, Transport};
use crate::config::{Config, Method};
use crate::conversation::{ACCESS, Conversation, Goodbye, Ready};
use crate::doors::Door;
use crate::drivers::Drivers;
use crate::inspector::{Fault, RpcInspector};
use crate::shared_text::shared;
use crate::who::{Describe, UnixPeer, address};

/// How long a client may take for the handshake of TLS.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// The relay as this daemon uses it.
pub(crate) type RpcRelay = Relay<RpcInspector, Ticket>;

/// What the relay keeps of a session for its end.
#[derive(Debug)]
pub(crate) struct Ticket {
    presence: Presence,
    uri: Arc<str>,
}

impl Ticket {
    /// The client's number.
    pub(crate) fn client(&self) -> u64 {
        self.presence.id()
    }
}

/// A client for the log.
fn who(presence: &Presence) -> String {
    format!("client {} ({})", presence.id(), Describe(&presence.about()))
}

/// What a reload may change; a session keeps to what it began with.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) config: Config,
    pub(crate) drivers: Drivers,
    pub(crate) access: UriAccess,
    pub(crate) auth: Arc<AuthSettings>,
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clients: Arc<Clients>,
    /// Where TLS is used.
    pub(crate) certificates: Option<Certificates>,
    pub(crate) throttle: Throttle,
    live: RwLock<Arc<Live>>,
}

/// What is known of a client from its connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) door: Door,
    pub(crate) peer: Peer,
    pub(crate) unix: Option<UnixPeer>,
    /// Our own address on the connection, as libvirt writes it.
    pub(crate) local_address: Option<String>,
}

/// A client that was taken in.
#[derive(Debug)]
pub(crate) struct Guest {
    stream: Stream,
    caller: Caller,
    live: Arc<Live>,
    presence: Presence,
}

impl Shared {
    pub(crate) fn new(
        clients: Arc<Clients>,
        certificates: Option<Certificates>,
        live: Live,
    ) -> Shared {
        Shared {
            clients,
            certificates,
            throttle: Throttle::default(),
            live: RwLock::new(Arc::new(live)),
        }
    }

    /// The settings for a client that comes now.
    pub(crate) fn live(&self) -> Arc<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&live)
    }

    /// Puts other settings in force for those who come after.
    pub(crate) fn replace(&self, live: Live) {
        let mut current = self.live.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(live);
    }

    /// Takes in a client, if it can be told who it is and there is a place for it.
    pub(crate) fn welcome(&self, stream: Stream, peer: Peer, door: Door) -> Option<Guest> {
        let caller = match Caller::new(&stream, peer, door) {
            Ok(caller) => caller,
            Err(error) => {
                let error = gate::describe(&error);
                self.warn(|| format!("cannot tell who a client is, it is not served: {error}"));
                return None;
            }
        };
        let live = self.live();
        let Ok(presence) = self.clients.enter(caller.about(&live)) else {
            self.warn(|| format!("client {peer} is not served: there are too many clients"));
            return None;
        };
        Some(Guest {
            stream,
            caller,
            live,
            presence,
        })
    }

    /// Serves a client until its session is handed over or it is gone.
    pub(crate) async fn serve(&self, relay: &RpcRelay, guest: Guest) {
        let Guest {
            stream,
            caller,
            live,
            presence,
        } = guest;
        let peer = caller.peer;
        let id = presence.id();
        tracing::debug!("client {id} connected: {peer}");
        let served = {
            let served = self.admit(&caller, &live, &presence, Link::Plain(stream));
            tokio::pin!(served);
            tokio::select! {
                served = &mut served => served,
                () = presence.dismissed() => Err(Goodbye::Dismissed),
            }
        };
        match served {
            Ok(ready) => self.hand_over(relay, &caller, &live, presence, ready),
            Err(goodbye) => self.note_goodbye(&presence, &goodbye),
        }
    }

    /// Does everything until the client has a daemon.
    async fn admit(
        &self,
        caller: &Caller,
        live: &Arc<Live>,
        presence: &Presence,
        mut link: Link,
    ) -> Result<Ready, Goodbye> {
        if let Some(unix) = caller.unix {
            let identity = unix.identity().await;
            presence.update(|about| about.identity = identity);
        }
        if caller.door.transport == Transport::Tls {
            let name = self.open_channel(&mut link).await?;
            presence.update(|about| {
                about.identity.x509_distinguished_name = name.map(Into::into);
                about.authenticated = live.config.auth.tls == Method::None;
            });
        }
        let auth = Authentication::new(caller.subject(live), Arc::clone(&live.auth));
        Conversation::new(self, caller, live, presence, link, auth)
            .run()
            .await
    }

    /// Gives a client its secure channel, and finds out its name.
    async fn open_channel(&self, link: &mut Link) -> Result<Option<String>, Goodbye> {
        let Some(certificates) = &self.certificates else {
            return Err(Goodbye::Failed("there is no certificate for TLS".into()));
        };
        let loaded = certificates.current();
        let opened = timeout(HANDSHAKE_LIMIT, open_channel(link, &loaded)).await;
        let opened = opened.map_err(|_| Goodbye::Stalled(HANDSHAKE_LIMIT))?;
        opened.map_err(|error| Goodbye::Failed(error.to_string()))
    }

    fn hand_over(
        &self,
        relay: &RpcRelay,
        caller: &Caller,
        live: &Live,
        presence: Presence,
        ready: Ready,
    ) {
        let id = presence.id();
        let most = live.config.limits.client_requests;
        let passes_descriptors = caller.door.transport == Transport::Unix;
        let inspector = RpcInspector::new(most, passes_descriptors, ready.heartbeat);
        let legs =
            leg(ready.client).and_then(|client| Ok((client, leg(Link::Plain(ready.daemon))?)));
        let (client, server) = match legs {
            Ok(legs) => legs,
            Err(error) => {
                let error = gate::describe(&error);
                let who = who(&presence);
                tracing::error!("{who}: the session cannot be relayed: {error}");
                return;
            }
        };
        let handover = Handover {
            client,
            server,
            early: ready.early,
            inspector,
            tag: Ticket {
                presence,
                uri: shared(&ready.uri),
            },
        };
        if relay.hand_over(handover).is_err() {
            tracing::debug!("a session ended at once: virtproxyd is shutting down");
        } else if self.clients.find(id).is_none() {
            // Told to go when neither its task nor the relay would listen; or it has ended already.
            relay.dismiss(move |_, ticket| ticket.client() == id);
        }
    }

    fn note_goodbye(&self, presence: &Presence, goodbye: &Goodbye) {
        if goodbye.is_noteworthy() {
            self.warn(|| format!("{} is disconnected: {goodbye}", who(presence)));
        } else {
            tracing::debug!("{} is gone: {goodbye}", who(presence));
        }
    }

    /// Warns, unless clients have provoked too many warnings of late.
    pub(crate) fn warn(&self, message: impl FnOnce() -> String) {
        let Some(left_out) = self.throttle.admit() else {
            return;
        };
        let message = message();
        if left_out == 0 {
            tracing::warn!("{message}");
        } else {
            tracing::warn!("{message} ({left_out} such messages before were left out)");
        }
    }

    /// Takes note of how a session ended; runs in a thread of the relay.
    fn ended(&self, ticket: &Ticket, summary: &Summary<Fault>) {
        let Ticket { presence, uri } = ticket;
        match &summary.end {
            End::Refused(_, _) => {
                let reason = tell(&summary.end);
                self.warn(|| format!("{} of {uri} is disconnected: {reason}", who(presence)));
            }
            end => tracing::info!(
                target: ACCESS,
                "{} of {uri} ended: {}; {} bytes to the daemon, {} bytes to the client, {:.3} s",
                who(presence),
                tell(end),
                summary.to_server,
                summary.to_client,
                summary.lasted.as_secs_f64()
            ),
        }
    }
}

/// A way for the relay's threads to reach what all sessions share.
pub(crate) fn on_end(shared: &Arc<Shared>) -> impl Fn(Ticket, Summary<Fault>) + Clone + use<> {
    let shared = Arc::clone(shared);
    move |ticket, summary| shared.ended(&ticket, &summary)
}

impl Caller {
    fn new(stream: &Stream, peer: Peer, door: Door) -> io::Result<Caller> {
        let local = match stream {
            Stream::Tcp(stream) => Some(Peer::Tcp(stream.local_addr()?)),
            Stream::Unix(_) => None,
        };
        Ok(Caller {
            door,
            peer,
            unix: UnixPeer::of(stream)?,
            local_address: local.and_then(address),
        })
    }

    /// How it has to authenticate itself.
    fn method(&self, live: &Live) -> Method {
        let auth = &live.config.auth;
        match (self.door.transport, self.door.read_only) {
            (Transport::Unix, true) => auth.unix_ro,
            (Transport::Unix, false) => auth.unix_rw,
            (Transport::Tcp, _) => auth.tcp,
            (Transport::Tls, _) => auth.tls,
        }
    }

    fn subject(&self, live: &Live) -> Subject {
        Subject {
            method: self.method(live),
            transport: self.door.transport,
            read_only: self.door.read_only,
            unix: self.unix,
            local_address: self.local_address.clone(),
            remote_address: address(self.peer),
            who: format!("client {}", self.peer),
        }
    }

    fn about(&self, live: &Live) -> About {
        let method = self.method(live);
        About {
            transport: self.door.transport,
            connected: SystemTime::now(),
            read_only: self.door.read_only,
            peer: self.peer,
            identity: self.unix.map(UnixPeer::numbers).unwrap_or_default(),
            // Before its handshake, nobody is let in by TLS.
            authenticated: method == Method::None && self.door.transport != Transport::Tls,
        }
    }
}

/// An end of a session for the relay; unix sockets pass descriptors.
fn leg(link: Link) -> io::Result<Leg> {
    match link {
        Link::Plain(stream @ Stream::Unix(_)) => Ok(Leg::passing(stream.into_fd()?)),
        other => other.into_leg(),
    }
}

fn tell(end: &End<Fault>) -> String {
    match end {
        End::Closed(side) => format!("the {side} closed the connection"),
        End::Failed(side, error) => {
            format!("the {side}'s connection failed: {}", gate::describe(error))
        }
        End::Refused(side, fault) => format!("the {side} broke the protocol: {fault}"),
        End::Abandoned(side) => format!("the {side} closed, and the other side fell silent"),
        End::Dismissed => "it was told to go".into(),
        End::Shutdown => "virtproxyd shut down".into(),
    }
}
