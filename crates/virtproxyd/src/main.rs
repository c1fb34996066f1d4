//! `virtproxyd`: libvirt clients reach the modular libvirt daemons through it. A drop-in for
//! `virtproxyd(8)`.

#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the parts are being put together")]

mod certificates;
mod clients;
mod config;

fn main() {}
