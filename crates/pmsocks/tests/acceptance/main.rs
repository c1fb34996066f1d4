//! `pmsocks` between real clients inside and real servers outside of a firewall.

#![forbid(unsafe_code)]

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
