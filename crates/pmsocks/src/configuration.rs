//! The configuration: the variables and the routes.

use std::env;
use std::ffi::OsString;

use socks_conf::{LoadError, Routes};
use socks_dial::{Settings, SettingsError};

/// All that says how connections are made.
#[derive(Debug)]
pub struct Configuration {
    /// The variables.
    pub settings: Settings,
    /// The lines of `pcp_socks.conf`.
    pub routes: Routes,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A variable has a value that makes no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file is not there, or a line is wrong.
    #[error(transparent)]
    Routes(#[from] LoadError),
}

impl Configuration {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigurationError`] for the first that is wrong.
    pub fn load() -> Result<Configuration, ConfigurationError> {
        let settings = Settings::from_env()?;
        let routes = Routes::load(&settings.routes_file)?;
        Ok(Configuration { settings, routes })
    }
}

/// The name server of `SOCKS_NS`, if there is one to ask.
#[must_use]
pub fn name_server() -> Option<OsString> {
    env::var_os("SOCKS_NS").filter(|value| !value.is_empty())
}
