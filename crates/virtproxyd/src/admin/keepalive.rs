//! Whether the client at the other end is still there.

use std::time::Duration;

use tokio::time::Instant;
use virt_proto::keepalive;

use crate::config::Keepalive;

/// The pings that a client gets. It gets none before it has sent some of its own: the admin program
/// has no other way to say that it knows them.
pub(super) struct Pings {
    settings: Keepalive,
    is_known: bool,
    unanswered: u32,
    since: Instant,
}

/// What is to be done after a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Send this.
    Ping(Vec<u8>),
    /// The client is dead.
    Dead,
}

impl Pings {
    pub(super) fn new(settings: Keepalive) -> Pings {
        Pings {
            settings,
            is_known: false,
            unanswered: 0,
            since: Instant::now(),
        }
    }

    /// Notes that a frame came: the client lives.
    pub(super) fn heard(&mut self, is_keepalive: bool) {
        self.is_known |= is_keepalive;
        self.unanswered = 0;
        self.since = Instant::now();
    }

    /// Waits for the end of the next silence; for ever without pings. Cancel safe.
    pub(super) async fn silence(&self) {
        match self.interval() {
            Some(interval) => tokio::time::sleep_until(self.since + interval).await,
            None => std::future::pending().await,
        }
    }

    /// After a silence.
    pub(super) fn next(&mut self) -> Silence {
        if self.unanswered >= self.settings.count {
            return Silence::Dead;
        }
        self.unanswered += 1;
        self.since = Instant::now();
        Silence::Ping(keepalive::header(keepalive::PING).frame(&()))
    }

    /// How long a client may leave a frame unread before it is dead; for ever without pings.
    pub(super) fn patience(&self) -> Option<Duration> {
        let interval = self.interval()?;
        Some(interval.saturating_mul(self.settings.count.saturating_add(1)))
    }

    fn interval(&self) -> Option<Duration> {
        let seconds = self.settings.interval.filter(|seconds| *seconds > 0)?;
        self.is_known.then(|| Duration::from_secs(seconds.into()))
    }
}
