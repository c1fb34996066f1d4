//! What every network daemon of gatehouse shares: it listens, dials, relays and lives as a daemon,
//! and knows no protocol.
//!
//! The way of a connection: [`listen`] takes it, [`limits`] finds room for it, the daemon's own
//! session reads who asks for what, [`policy`] says whether it may, [`dial`] reaches the server, and
//! [`relay`] carries the bytes; [`tls`] secures them. Around it, [`lifecycle`] makes the process a daemon and ends it,
//! [`advertise`] lets clients find it, and [`telemetry`] tells others what it has done.

#![forbid(unsafe_code)]

pub mod advertise;
pub mod channel;
pub mod dial;
mod errno;
pub mod lifecycle;
pub mod limits;
pub mod listen;
pub mod policy;
pub mod relay;
mod shares;
pub mod stream;
pub mod telemetry;
pub mod throttle;
pub mod tls;

pub use errno::describe;
