//! The real program, with real agents, real clients and the real pmcd beside it.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what they have in common: a failure is a failed test"
)]

mod bed;
mod both_sides;
mod clients;
mod engines;
mod malformed;
mod metrics;
mod papers;
mod processes;
mod real_engines;
