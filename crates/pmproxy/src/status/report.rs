//! What a daemon tells of its clients, as JSON on the admin socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gate::relay::Moved;
use serde::{Deserialize, Serialize};

use crate::presence::{Guest, Stage};
use crate::session::{PcpRelay, Shared};

/// Where the report is on the admin socket.
pub(crate) const PATH: &str = "/sessions";

/// The most clients that a report tells of.
const MOST: usize = 100_000;

/// The clients of a pmproxy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Whose.
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// When it started, in seconds since 1970.
    pub(crate) started: f64,
    /// In the order in which they came.
    pub(crate) sessions: Vec<Session>,
    /// Clients of which nothing is told because there are too many.
    pub(crate) omitted: usize,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its address, or its user.
    pub(crate) client: String,
    /// Its pmcd, once it is named.
    pub(crate) pmcd: Option<String>,
    pub(crate) state: Stage,
    /// Whether a secure channel passes through.
    pub(crate) secure: bool,
    /// When the client came, in seconds since 1970.
    pub(crate) since: f64,
    pub(crate) to_pmcd: Traffic,
    pub(crate) to_client: Traffic,
}

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    pub(crate) bytes: u64,
    /// None if they are not counted.
    pub(crate) pdus: Option<u64>,
}

/// Makes reports of one daemon.
#[derive(Clone)]
pub(crate) struct Reporter {
    shared: Arc<Shared>,
    relay: Arc<PcpRelay>,
    started: SystemTime,
}

impl Reporter {
    /// For a daemon that starts now.
    pub(crate) fn new(shared: Arc<Shared>, relay: Arc<PcpRelay>) -> Reporter {
        Reporter {
            shared,
            relay,
            started: SystemTime::now(),
        }
    }

    /// A report as JSON.
    pub(crate) async fn json(self) -> String {
        let report = self.report().await;
        // It holds nothing that JSON could not say.
        serde_json::to_string(&report).unwrap_or_default()
    }

    async fn report(self) -> Report {
        let (all, guests) = self.shared.guests.list(MOST);
        let carried = self
            .relay
            .survey(|inspector, ticket, moved| (ticket.number(), (inspector.is_secure(), moved)));
        let carried: HashMap<u64, (bool, Moved)> = carried.await.into_iter().collect();
        let sessions: Vec<Session> = guests
            .into_iter()
            .map(|(number, guest)| self.session(guest, carried.get(&number).copied()))
            .collect();
        Report {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started: seconds(self.started),
            omitted: all - sessions.len(),
            sessions,
        }
    }

    /// A client, and what its session has moved if the relay carries it.
    fn session(&self, guest: Guest, carried: Option<(bool, Moved)>) -> Session {
        let (secure, moved) = carried.unwrap_or_default();
        let counted = |pdus| self.shared.count_pdus.then_some(pdus);
        Session {
            client: guest.peer.to_string(),
            pmcd: guest.target.map(|target| target.to_string()),
            state: guest.stage,
            secure,
            since: seconds(guest.since),
            to_pmcd: Traffic {
                bytes: moved.to_server,
                pdus: counted(moved.client_frames),
            },
            to_client: Traffic {
                bytes: moved.to_client,
                pdus: counted(moved.server_frames),
            },
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    // Milliseconds are enough, and look well.
    Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

impl Stage {
    /// As the table and the JSON have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Greeting => "greeting",
            Stage::Connecting => "connecting",
            Stage::Relaying => "relaying",
        }
    }
}
