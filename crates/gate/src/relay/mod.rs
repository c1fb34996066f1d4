//! The relay engine: two sockets are handed over, and their bytes flow until one side ends.
//!
//! One thread per core runs an edge-triggered epoll loop. Bytes pass through one scratch buffer per
//! loop, or through a pipe without being copied when there are many of them; a session holds memory
//! only while its receiver does not take what was already read. What a receiver does not take is
//! not read, so a slow peer slows its own sender and nobody else.
//!
//! On each end there may be a secure channel: its records are opened as they come and sealed as they
//! go, between the same buffers of the loop.
//!
//! The engine knows no protocol. An [`Inspector`] sees the head of each frame and says how long it
//! is, or that the session must end. It may keep a frame back, answer in the place of a side, and let
//! a side wait; descriptors go with the frame that they belong to.

mod descriptors;
mod dismiss;
mod engine;
mod frames;
mod inspect;
mod lane;
mod leg;
mod outbox;
mod pipe;
mod receive;
mod send;
mod session;
mod survey;
mod timers;
mod workshop;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use engine::{Command, Engine, Remote};
pub use inspect::{Inspector, MAX_HEAD, Verdict};
pub use leg::Leg;
pub use outbox::Outbox;
use session::Progress;
pub use survey::Moved;
use tokio::time::{Instant, sleep};

/// One of the two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// To whom we connected.
    Server,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "client",
            Side::Server => "server",
        })
    }
}

/// A session that was admitted and now only needs its bytes relayed.
///
/// `T` is whatever the daemon wants to have back when the session ends: who it was, its place in
/// the connection limit.
#[derive(Debug)]
pub struct Handover<I, T> {
    /// The client's end. The engine makes its socket non-blocking.
    pub client: Leg,
    /// The server's end, likewise.
    pub server: Leg,
    /// What the client sent that is not yet passed on, out of its channel if it has one: at most
    /// [`MAX_EARLY`] bytes.
    pub early: Vec<u8>,
    /// Looks at the frames.
    pub inspector: I,
    /// Comes back with the [`Summary`].
    pub tag: T,
}

/// The most bytes that a [`Handover`] may bring along.
pub const MAX_EARLY: usize = 16 * 1024;

/// Why a session ended.
#[derive(Debug)]
pub enum End<R> {
    /// Both sides closed; this one did so first.
    Closed(Side),
    /// A socket failed: most often the peer reset the connection.
    Failed(Side, io::Error),
    /// The inspector ended it over a frame that came from this side.
    Refused(Side, R),
    /// This side closed its direction, and nothing came from the other for [`HALF_CLOSE_GRACE`].
    Abandoned(Side),
    /// [`Relay::dismiss`] was told to end it.
    Dismissed,
    /// The engine was shut down.
    Shutdown,
}

/// What became of a session.
#[derive(Debug)]
pub struct Summary<R> {
    /// Why it ended.
    pub end: End<R>,
    /// Bytes passed on to the server, not counting what a channel adds.
    pub to_server: u64,
    /// Bytes passed on to the client, likewise.
    pub to_client: u64,
    /// How long it was relayed.
    pub lasted: Duration,
}

/// How long a session is kept once one side has closed its direction and the other is silent.
pub const HALF_CLOSE_GRACE: Duration = Duration::from_secs(60);

/// What an engine has done since it started. Each loop writes its own, so that counting costs no
/// traffic between cores; [`Relay::totals`] adds them up.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct LoopCounters {
    sessions: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl LoopCounters {
    fn set_sessions(&self, count: usize) {
        self.sessions.store(count as u64, Ordering::Relaxed);
    }

    fn count(&self, progress: &Progress) {
        // Only the loop's own thread writes, so that a load and a store do.
        let add = |counter: &AtomicU64, amount: u64| {
            if amount != 0 {
                let value = counter.load(Ordering::Relaxed).wrapping_add(amount);
                counter.store(value, Ordering::Relaxed);
            }
        };
        add(&self.to_server, progress.to_server);
        add(&self.to_client, progress.to_client);
    }
}

/// The sum of what all loops have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions in the engine now.
    pub sessions: u64,
    /// Bytes passed on to servers.
    pub to_server: u64,
    /// Bytes passed on to clients.
    pub to_client: u64,
}

struct Loop<I: Inspector, T> {
    remote: Remote<I, T>,
    /// Sessions given to this loop and not yet ended.
    load: Arc<AtomicU64>,
    counters: Arc<LoopCounters>,
    tally: Arc<I::Tally>,
}

/// A running engine. Dropping it ends all sessions.
pub struct Relay<I: Inspector, T> {
    loops: Vec<Loop<I, T>>,
    threads: Vec<JoinHandle<()>>,
}

impl<I: Inspector, T: Send + 'static> Relay<I, T> {
    /// Starts `threads` loops. `ended` is called in a loop's thread for every session that ends, so
    /// it must not block.
    ///
    /// # Errors
    /// When the system refuses an epoll instance, a pipe or a thread.
    pub fn start<F>(threads: NonZeroUsize, ended: F) -> io::Result<Relay<I, T>>
    where
        F: Fn(T, Summary<I::Refusal>) + Clone + Send + 'static,
    {
        let mut relay = Relay {
            loops: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..threads.get() {
            let counters = Arc::new(LoopCounters::default());
            let tally = Arc::new(I::Tally::default());
            let load = Arc::new(AtomicU64::new(0));
            let ended = ended.clone();
            let done = Arc::clone(&load);
            let on_end = move |tag: T, summary: Summary<I::Refusal>| {
                done.fetch_sub(1, Ordering::Relaxed);
                ended(tag, summary);
            };
            let (engine, remote) = Engine::new(Arc::clone(&counters), Arc::clone(&tally), on_end)?;
            let name = format!("relay-{number}");
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || engine.run())?;
            relay.loops.push(Loop {
                remote,
                load,
                counters,
                tally,
            });
            relay.threads.push(thread);
        }
        Ok(relay)
    }

    /// Gives a session to the loop that has the fewest.
    ///
    /// # Errors
    /// Gives the session back when the engine is shutting down.
    pub fn hand_over(&self, handover: Handover<I, T>) -> Result<(), Handover<I, T>> {
        let least = self
            .loops
            .iter()
            .min_by_key(|each| each.load.load(Ordering::Relaxed));
        let Some(chosen) = least else {
            return Err(handover);
        };
        chosen.load.fetch_add(1, Ordering::Relaxed);
        match chosen.remote.send(Command::Adopt(handover)) {
            Err(Command::Adopt(refused)) => Err(refused),
            Ok(()) | Err(Command::Stop | Command::Survey(_) | Command::Dismiss(_)) => Ok(()),
        }
    }

    /// What all loops have done since the start.
    pub fn totals(&self) -> Totals {
        self.loops.iter().fold(Totals::default(), |mut sum, each| {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            sum.sessions += read(&each.counters.sessions);
            sum.to_server += read(&each.counters.to_server);
            sum.to_client += read(&each.counters.to_client);
            sum
        })
    }

    /// Waits until no session is left, for `grace` at most.
    pub async fn sessions_end(&self, grace: Duration) {
        let until = Instant::now() + grace;
        while self.totals().sessions > 0 && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the inspectors of each loop have counted.
    pub fn tallies(&self) -> impl Iterator<Item = &I::Tally> {
        self.loops.iter().map(|each| &*each.tally)
    }
}

impl<I: Inspector, T> Drop for Relay<I, T> {
    fn drop(&mut self) {
        for each in &self.loops {
            // A loop whose thread has gone needs no order to stop.
            let _ = each.remote.send(Command::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a relay thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod script_tests;
#[cfg(test)]
mod secure_tests;
#[cfg(test)]
mod tests;
