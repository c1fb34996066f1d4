//! Secure channels, by rustls: the certificates that a daemon shows, the authorities that it trusts,
//! the handshakes, and what stays of them in a session. It knows no protocol inside the channel, and
//! no configuration file either.
//!
//! - [`Identity`] is a certificate chain with its private key, [`Authorities`] are those whose
//!   certificates are trusted, and [`Ciphers`] are the cipher suites that may be used, in OpenSSL's
//!   or GnuTLS's notation.
//! - [`server_config`] and [`client_config`] make rustls configurations of them. Nothing but what
//!   was configured is trusted: the system's own authorities never are.
//! - [`Trust`] is authorities with their [`RevocationLists`], for a server with stricter clients
//!   ([`vetting_server_config`]).
//! - [`accept`] and [`connect`] make a handshake in the runtime. A session's first words then go over
//!   a [`Link`]; after them its bytes go to the relay, which keeps a [`TlsChannel`] for them.
//! - [`names`] and [`distinguished_name`] tell who a peer is by its certificate, [`Certificate`] what
//!   else it says, [`explain()`] why a handshake failed.

mod authorities;
mod certificate;
mod channel;
mod ciphers;
mod config;
mod error;
mod explain;
mod file;
mod handshake;
mod identity;
mod link;
mod name;
mod priority;
mod revocation;
#[cfg(test)]
mod tests;
mod trust;
mod verifier;

pub use authorities::Authorities;
pub use certificate::{Certificate, EXPIRY_WARNING, Purposes, Usage, names};
pub use channel::TlsChannel;
pub use ciphers::Ciphers;
pub use config::{
    ClientCertificates, Tolerance, client_config, server_config, vetting_server_config,
};
pub use error::{TlsError, TlsProblem};
pub use explain::explain;
pub use handshake::{SecureStream, accept, connect};
pub use identity::Identity;
pub use link::Link;
pub use name::distinguished_name;
pub use revocation::RevocationLists;
pub use rustls::{ClientConfig, ServerConfig};
pub use trust::Trust;
