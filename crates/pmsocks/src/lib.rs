//! What the two programs of `pmsocks(1)` do alike: begin, say what is wrong, and become the program that
//! the user wants.
//!
//! - `pmsocks`, the launcher, finds out how the program's connections can be taken over. It asks
//!   nobody for anything, no resolver and no name server, so that it can be linked statically: its
//!   start is part of each program's.
//! - `pmsocks-connect` makes connections: those of a program that it supervises, one to try, or those
//!   to the name server of `SOCKS_NS`.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "C's start-up hands over the arguments")]
mod begin;
mod environment;
mod exec;
mod host;
mod name_server;
mod origin;
mod program;
mod say;
mod streams;
pub mod supervision;

pub use begin::begin;
pub use environment::Environment;
pub use host::split_port;
pub use name_server::name_server;
pub use origin::plain_path;
pub use program::{Program, ProgramError, SHELL};
pub use say::{complain, print};

/// The exit status that says that something is wrong with the call or the settings.
pub const FAILURE: u8 = 1;
