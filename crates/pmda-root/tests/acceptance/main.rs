//! The client library with Debian's pmdaroot, and with servers that behave badly.

#![forbid(unsafe_code)]

mod containers;
mod misbehaving;
mod processes;
mod server;
