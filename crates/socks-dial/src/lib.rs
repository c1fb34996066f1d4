//! Connects a socket to its destination through SOCKS servers: which server, in which version of the
//! protocol, for how long, and who is to blame when it fails. Which way a connection goes is decided
//! elsewhere (`socks-conf`), and whose socket it is, too: a [`Dial`] has a descriptor for it and never
//! blocks, so that a supervisor can drive many, and a library those of the program that it is loaded
//! into.
//!
//! - [`Settings`] are the variables that users know: `SOCKS_SERVER`, `SOCKS_VERSION` and the others.
//! - [`Dial`] is one connection in the making; [`Failure`] says which machine refused it.
//! - [`is_local_address`] tells whether an address is this host's own.

#![forbid(unsafe_code)]

mod attempt;
mod candidates;
mod credentials;
mod dial;
mod failure;
mod handed_on;
mod local;
mod options;
mod report;
mod settings;
#[cfg(test)]
mod tests;

pub use candidates::Surroundings;
pub use credentials::CredentialsError;
pub use dial::{Destination, Dial, Route, Status};
pub use failure::{Culprit, Failure};
pub use handed_on::{BEGINS, HANDED_ON, HandedOn};
pub use local::is_local_address;
pub use report::{print_banner, report};
pub use settings::{DEFAULT_ROUTES, Settings, SettingsError};
