//! The configuration: the variables, with the addresses of servers out of `SOCKS_NS`, and the routes.

use std::fs;

use pmsocks_common::{Environment, name_server};
use socks_conf::{LoadError, Routes, Server};
use socks_dial::{HandedOn, Settings, SettingsError};

use crate::name_server::{NameError, NameServer, own_domains};

const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// All that says how connections are made.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The variables.
    pub(crate) settings: Settings,
    /// The lines of `pcp_socks.conf`.
    pub(crate) routes: Routes,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// A variable has a value that makes no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file is not there, or a line is wrong.
    #[error(transparent)]
    Routes(#[from] LoadError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("SOCKS_NS is not valid UTF-8")]
    NotText,
}

impl Configuration {
    /// Reads it, and asks the name server if there is one to ask.
    pub(crate) fn load() -> Result<Configuration, ConfigurationError> {
        let settings = Settings::from_env()?;
        let routes = Routes::load(&settings.routes_file)?;
        let mut configuration = Configuration { settings, routes };
        if let Some(name_server) = name_server(&Environment::own()) {
            let name_server = name_server.to_str().ok_or(ConfigurationError::NotText)?;
            configuration.settings.handed_on = ask_for_servers(name_server, &configuration)?;
        }
        Ok(configuration)
    }
}

/// Finds the addresses of all servers that go by a name.
fn ask_for_servers(
    name_server: &str,
    configuration: &Configuration,
) -> Result<HandedOn, NameError> {
    let name_server = NameServer::from_text(name_server)?;
    let domains = own_domains(&fs::read_to_string(RESOLVER_FILE).unwrap_or_default());
    let Configuration { settings, routes } = configuration;
    let mut found = HandedOn::default();
    for Server { host, .. } in settings.server.iter().chain(routes.servers()) {
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        if !is_address && found.addresses(host).is_none() {
            found.add(host, name_server.addresses(host, &domains)?);
        }
    }
    Ok(found)
}
