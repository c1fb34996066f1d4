//! Whom to ask for the names of SOCKS servers.

use std::ffi::OsStr;

use crate::environment::Environment;

/// The name server of `SOCKS_NS`, if there is one to ask.
#[must_use]
pub fn name_server(environment: &Environment) -> Option<&OsStr> {
    environment
        .get("SOCKS_NS")
        .filter(|value| !value.is_empty())
}
