//! The numbers that pmproxy tells of itself, as their readers have them: Prometheus's parser, the
//! `--status` of another pmproxy, and PCP's own clients.

#![forbid(unsafe_code)]

mod metrics;
mod peers;
mod prometheus;
mod status;
