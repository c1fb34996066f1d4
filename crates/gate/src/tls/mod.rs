//! TLS: the certificates that a daemon shows, the authorities that it trusts, and the rustls
//! configurations made of them. It knows no protocol, and no configuration file either.
//!
//! - [`Identity`] is a certificate chain with its private key, [`Authorities`] are those whose
//!   certificates are trusted, and [`Ciphers`] are the cipher suites that may be used, in OpenSSL's
//!   notation.
//! - [`server_config`] and [`client_config`] make rustls configurations of them. Nothing but what
//!   was configured is trusted: the system's own authorities never are.
//! - [`names`] tells who a peer is by its certificate, [`explain`] why a handshake failed.

mod authorities;
mod certificate;
mod ciphers;
mod config;
mod error;
mod explain;
mod file;
mod identity;
#[cfg(test)]
mod tests;
mod verifier;

pub use authorities::Authorities;
pub use certificate::{EXPIRY_WARNING, names};
pub use ciphers::Ciphers;
pub use config::{ClientCertificates, Tolerance, client_config, server_config};
pub use error::{TlsError, TlsProblem};
pub use explain::explain;
pub use identity::Identity;
