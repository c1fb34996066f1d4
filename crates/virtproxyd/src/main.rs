//! `virtproxyd`: libvirt clients reach the modular libvirt daemons through it. A drop-in for
//! `virtproxyd(8)`.

#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the parts are being put together")]

mod admin;
mod autostart;
mod clients;
mod config;
mod drivers;
mod frames;
mod heartbeat;
mod options;
mod paths;
mod upstream;
mod who;

fn main() {}
