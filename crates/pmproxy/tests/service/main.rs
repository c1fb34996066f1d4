//! pmproxy as a service: its command line and environment, how it starts and says so, how it lives
//! as a daemon and ends, the numbers that it tells, and what is written about it.

#![forbid(unsafe_code)]

mod activation;
mod admin;
mod boot;
mod certificates;
mod config;
mod daemon;
mod environment;
mod home;
mod init_script;
mod options;
mod papers;
mod ports;
mod startup;
mod user;
