//! `pmsocks` between real clients inside and real servers outside of a firewall.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what they have in common: a failure is a failed test"
)]

mod alone;
mod check;
mod clients;
mod failures;
mod fixture;
mod launcher;
mod lines;
mod name_server;
mod names;
mod rude_servers;
mod sight;
mod unasked;
mod versions;
