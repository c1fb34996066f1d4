//! Connecting to a host by name: resolve it, then try its addresses, all within one deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::errno::describe;
use crate::listen::{is_exhaustion, tune};
use crate::policy::{Client, Denial, Grant, Policy};
use crate::shares::{Shares, permit};
use crate::stream::Origin;

/// How long one address has before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Look-ups that one origin may have under way. The system's resolver keeps a thread busy for each,
/// for as long as its servers are silent, so that no client may take them all.
const LOOKUPS_OF_ONE_ORIGIN: usize = 8;

/// Look-ups under way at the most.
pub const MOST_LOOKUPS: usize = 128;

/// Connections to one daemon that may be new at the same time. A daemon's queue of connections may
/// be short (pmcd's has room for five), and what a burst pushes out of it can be lost for good: with
/// SYN cookies, the other system forgets a connection that this one believes to have.
const NEW_AT_ONCE: usize = 4;

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The resolver does not know the name, or could not find out.
    #[error("cannot resolve {host:?}: {}", describe(.source))]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name stands for nothing that can be connected to.
    #[error("{host:?} has no address that can be connected to")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// Every address was tried in vain; this is the most telling failure.
    #[error("cannot connect to {address}: {}{}", describe(.source), others(*.tried))]
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// How many addresses were tried.
        tried: usize,
    },
    /// The policy does not let this client reach it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The deadline passed first.
    #[error("cannot connect to {host:?} port {port} within {limit:?}")]
    TimedOut {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// The time that was allowed.
        limit: Duration,
    },
}

fn others(tried: usize) -> String {
    if tried > 1 {
        format!(" (the best of {tried} addresses)")
    } else {
        String::new()
    }
}

impl DialError {
    /// The errno that says the same to a client.
    pub fn errno(&self) -> i32 {
        let source = match self {
            DialError::TimedOut { .. } => return Errno::TIMEDOUT.raw_os_error(),
            DialError::Denied(_) => return Errno::ACCESS.raw_os_error(),
            DialError::Unreachable { source, .. } => Some(source),
            DialError::Unresolved { source, .. } => Some(source).filter(|e| is_exhaustion(e)),
            DialError::NoAddress { .. } => None,
        };
        source
            .and_then(io::Error::raw_os_error)
            .unwrap_or(Errno::HOSTUNREACH.raw_os_error())
    }
}

/// Connects to hosts by name, with the system's resolver.
#[derive(Debug)]
pub struct Dialer {
    limit: Duration,
    lookups: Arc<Semaphore>,
    lookups_by_origin: Shares<Origin>,
    turns: Shares<SocketAddr>,
}

/// A connection that was made.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub stream: TcpStream,
    /// Those who want to connect to the same daemon wait for the end of this.
    pub turn: Turn,
    /// The client's right to it, to be kept as long as the connection is.
    pub grant: Grant,
}

/// A new connection's turn. It is over when this is dropped: best as soon as the daemon has shown
/// that it took the connection. The default is a turn that is over.
#[derive(Debug, Default)]
pub struct Turn {
    /// None also after too long a wait.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Dialer {
    /// A dialer that gives each connection `limit` from the look-up on.
    pub fn new(limit: Duration) -> Dialer {
        let lookups = Arc::new(Semaphore::new(MOST_LOOKUPS));
        Dialer {
            limit,
            lookups,
            lookups_by_origin: Shares::of(LOOKUPS_OF_ONE_ORIGIN),
            turns: Shares::of(NEW_AT_ONCE),
        }
    }

    /// Connects to `port` of `host`, a name or an address without brackets, for `client`, as far as
    /// `policy` permits: the addresses that it is asked about are those that are dialled. Only a few
    /// connections to the same daemon are made at once, in turns.
    ///
    /// # Errors
    /// [`DialError`]. A name that cannot be resolved is never dialled.
    pub async fn dial(
        &self,
        host: &str,
        port: u16,
        client: &Client,
        policy: &Policy,
    ) -> Result<Dialled, DialError> {
        let dialled = async {
            let addresses = self.resolve(host, port, client.peer.origin()).await?;
            let (addresses, grant) = policy.permitted(client, host, &addresses)?;
            let turn = self.turn(&addresses).await;
            let stream = connect_any(addresses).await?;
            Ok(Dialled {
                stream,
                turn,
                grant,
            })
        };
        let timed_out = |_| DialError::TimedOut {
            host: host.into(),
            port,
            limit: self.limit,
        };
        timeout(self.limit, dialled).await.map_err(timed_out)?
    }

    /// Waits while enough connections to the same daemon are new, but not for long: one that is slow
    /// to take them does not keep others away.
    async fn turn(&self, addresses: &[SocketAddr]) -> Turn {
        let Some(daemon) = addresses.first() else {
            return Turn::default();
        };
        let permit = timeout(self.limit / 2, self.turns.take(*daemon)).await;
        Turn {
            _permit: permit.ok().and_then(Result::ok),
        }
    }

    /// The addresses of `host`, in the order in which they are to be tried.
    ///
    /// # Errors
    /// [`DialError::Unresolved`], [`DialError::NoAddress`].
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
        origin: Origin,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let found =
            match host.parse::<IpAddr>() {
                Ok(address) => vec![SocketAddr::new(address, port)],
                Err(_) => self.look_up(host, port, origin).await.map_err(|source| {
                    DialError::Unresolved {
                        host: host.into(),
                        source,
                    }
                })?,
            };
        let mut addresses = interleave(found);
        // The unspecified address would reach this very machine, which nobody asked for.
        addresses.retain(|address| !address.ip().to_canonical().is_unspecified());
        addresses.truncate(MOST_ADDRESSES);
        if addresses.is_empty() {
            return Err(DialError::NoAddress { host: host.into() });
        }
        Ok(addresses)
    }

    async fn look_up(&self, host: &str, port: u16, origin: Origin) -> io::Result<Vec<SocketAddr>> {
        let permits = (
            self.lookups_by_origin.take(origin).await?,
            permit(&self.lookups).await?,
        );
        let host = host.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Held until the resolver returns, even when nobody waits for it any more.
            let _permits = permits;
            let found = (host.as_str(), port).to_socket_addrs();
            found
                .map(Iterator::collect)
                .map_err(|error| exhaustion().unwrap_or(error))
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// Why nothing can be opened now, if so: the resolver then finds no name, but does not say why.
fn exhaustion() -> Option<io::Error> {
    std::fs::File::open("/dev/null").err().filter(is_exhaustion)
}

/// Keeps the resolver's order but lets the families take turns, so that one that leads nowhere does
/// not hold up the other (RFC 8305, section 4). Each address is kept once.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

/// Tries the addresses one after the other, each with a head start before the next; the first that
/// answers wins.
async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let tried = addresses.len();
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut best: Option<(SocketAddr, io::Error)> = None;
    let mut next_start = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next_start), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    attempts.spawn(async move { (address, connect(address).await) });
                    next_start = Instant::now() + HEAD_START;
                }
            }
            Some(attempt) = attempts.join_next() => match attempt {
                Ok((_, Ok(stream))) => return Ok(stream),
                Ok((address, Err(error))) => {
                    let better = best.as_ref().is_none_or(|(_, old)| rank(&error) < rank(old));
                    if better {
                        best = Some((address, error));
                    }
                    next_start = Instant::now();
                }
                Err(panicked) => tracing::error!("a connection attempt broke off: {panicked}"),
            },
            else => break,
        }
    }
    let (address, source) = best.unwrap_or_else(|| {
        (
            SocketAddr::from(([0, 0, 0, 0], 0)),
            Errno::HOSTUNREACH.into(),
        )
    });
    Err(DialError::Unreachable {
        address,
        source,
        tried,
    })
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // On the loopback a connection to a free port of the ephemeral range can meet itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(Errno::CONNREFUSED.into());
    }
    tune(&SockRef::from(&stream))?;
    Ok(stream)
}

/// A smaller rank tells more: a refusal means that the host is there.
fn rank(error: &io::Error) -> usize {
    const TELLING: [Errno; 5] = [
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::TIMEDOUT,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    let is = |errno: &Errno| error.raw_os_error() == Some(errno.raw_os_error());
    TELLING.iter().position(is).unwrap_or(TELLING.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Peer;
    use tokio::net::{TcpListener, TcpSocket};

    fn us() -> Client {
        let (uid, pid) = (0, None);
        Client::new(Peer::Unix { uid, pid })
    }

    fn dialer() -> Dialer {
        Dialer::new(Duration::from_secs(5))
    }

    /// A port on which nobody listens, and the socket that keeps it from others.
    fn deaf_port() -> (TcpSocket, u16) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, port)
    }

    #[tokio::test]
    async fn a_name_reaches_whichever_address_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The name may stand for ::1 first, where nobody listens.
        let dialled = dialer()
            .dial("localhost", port, &us(), &Policy::default())
            .await
            .unwrap();
        let reached = dialled.stream.peer_addr().unwrap();
        assert_eq!(reached, listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_new_connection_has_its_turn_until_it_gives_it_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dialer = dialer();
        let left = || dialer.turns.share_of(address).available_permits();
        let dialled = dialer
            .dial("127.0.0.1", address.port(), &us(), &Policy::default())
            .await
            .unwrap();
        assert_eq!(left(), NEW_AT_ONCE - 1);
        drop(dialled.turn);
        assert_eq!(left(), NEW_AT_ONCE);
    }

    #[tokio::test]
    async fn a_daemon_that_is_slow_to_take_connections_keeps_nobody_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialer = Dialer::new(Duration::from_secs(6));
        let mut new = Vec::new();
        for _ in 0..=NEW_AT_ONCE {
            new.push(
                dialer
                    .dial("127.0.0.1", port, &us(), &Policy::default())
                    .await
                    .unwrap(),
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_not_dialled() {
        let error = dialer()
            .dial("no-such-host.invalid", 44321, &us(), &Policy::default())
            .await
            .unwrap_err();
        assert!(matches!(error, DialError::Unresolved { .. }), "{error}");
        assert_eq!(error.errno(), Errno::HOSTUNREACH.raw_os_error());
    }

    #[tokio::test]
    async fn the_unspecified_address_is_not_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["0.0.0.0", "::", "::ffff:0.0.0.0", "0"] {
            let error = dialer()
                .dial(host, port, &us(), &Policy::default())
                .await
                .unwrap_err();
            assert!(
                matches!(error, DialError::NoAddress { .. }),
                "{host}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let (_socket, port) = deaf_port();
        let error = dialer()
            .dial("127.0.0.1", port, &us(), &Policy::default())
            .await
            .unwrap_err();
        assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
        assert_eq!(error.errno(), Errno::CONNREFUSED.raw_os_error());
    }

    #[tokio::test]
    async fn the_most_telling_failure_is_reported() {
        let (_socket, port) = deaf_port();
        // Nobody can connect to the broadcast address.
        let addresses = vec![
            SocketAddr::from(([255, 255, 255, 255], port)),
            SocketAddr::from(([127, 0, 0, 1], port)),
        ];
        let error = connect_any(addresses).await.unwrap_err();
        assert_eq!(error.errno(), Errno::CONNREFUSED.raw_os_error());
        assert!(
            error.to_string().contains("the best of 2 addresses"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn only_what_the_policy_permits_is_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = Policy::parse([("deny", "to 127.0.0.0/8"), ("allow", "to any")]).unwrap();
        let refused = dialer().dial("127.0.0.1", port, &us(), &policy).await;
        assert!(matches!(refused, Err(DialError::Denied(_))), "{refused:?}");
        let policy = Policy::parse([("allow", "to 127.0.0.1")]).unwrap();
        assert!(
            dialer()
                .dial("127.0.0.1", port, &us(), &policy)
                .await
                .is_ok()
        );
    }

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter()
                .map(|address| address.parse().unwrap())
                .collect()
        };
        let given = parse(&["[::1]:1", "[::2]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let wanted = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"]);
        assert_eq!(interleave(given), wanted);
    }
}
