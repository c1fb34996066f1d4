//! Whether the client at the other end is still there.

use std::time::Duration;

use tokio::time::Instant;
use virt_proto::keepalive;

use crate::config::Keepalive;
use crate::heartbeat::{Beat, Heartbeat};

/// The pings that a client gets. It gets none before it has sent some of its own: the admin program
/// has no other way to say that it knows them.
pub(super) struct Pings {
    heartbeat: Heartbeat,
    count: u32,
    since: Instant,
}

/// What is to be done after a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing.
    Rest,
    /// Send this.
    Ping(Vec<u8>),
    /// The client is dead.
    Dead,
}

impl Pings {
    pub(super) fn new(settings: Keepalive) -> Pings {
        Pings {
            heartbeat: Heartbeat::new(settings),
            count: settings.count,
            since: Instant::now(),
        }
    }

    /// Notes that a frame came: the client lives.
    pub(super) fn heard(&mut self, is_keepalive: bool) {
        if is_keepalive {
            self.heartbeat.begin();
        }
        self.beat(true);
    }

    /// Waits for the end of the next silence; for ever without pings. Cancel safe.
    pub(super) async fn silence(&self) {
        match self.heartbeat.interval() {
            Some(interval) => tokio::time::sleep_until(self.since + interval).await,
            None => std::future::pending().await,
        }
    }

    /// After a silence.
    pub(super) fn next(&mut self) -> Silence {
        match self.beat(false) {
            Beat::Rest => Silence::Rest,
            Beat::Ping => Silence::Ping(keepalive::header(keepalive::PING).frame(&())),
            Beat::Dead(_) => Silence::Dead,
        }
    }

    /// How long a client may leave a frame unread before it is dead; for ever without pings.
    pub(super) fn patience(&self) -> Option<Duration> {
        let interval = self.heartbeat.interval()?;
        Some(interval.saturating_mul(self.count.saturating_add(1)))
    }

    fn beat(&mut self, heard: bool) -> Beat {
        self.since = Instant::now();
        self.heartbeat.beat(heard)
    }
}
