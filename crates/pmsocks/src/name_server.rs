//! Whom to ask for the names of SOCKS servers.

use std::env;
use std::ffi::OsString;

/// The name server of `SOCKS_NS`, if there is one to ask.
#[must_use]
pub fn name_server() -> Option<OsString> {
    env::var_os("SOCKS_NS").filter(|value| !value.is_empty())
}
