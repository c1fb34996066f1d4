//! A small pmcd over /proc: real clients of Performance Co-Pilot can browse, describe and fetch its
//! dozen metrics. It is the demo's embedded default and the tests' controllable peer.
//!
//! A [`Server`] takes connections and gives each a session. What a session answers to a PDU
//! depends on nothing but the PDU, the profiles that the client sent before, and a sample of the
//! [`Host`]. Metrics have the identifiers, types and units of PCP's own agents for Linux and pmcd,
//! so that a client sees the same metric, only fewer of them.

#![forbid(unsafe_code)]

mod catalogue;
mod fetch;
mod host;
mod labels;
mod metrics;
mod namespace;
mod profiles;
mod server;
mod session;

pub use host::Host;
pub use server::{MAX_CONNECTIONS, Server};
