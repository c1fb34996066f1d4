//! `pmsocks` between real clients inside and real servers outside of a firewall.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "the tests' own helpers are tests: what cannot be had fails the test"
)]

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
mod versions;
