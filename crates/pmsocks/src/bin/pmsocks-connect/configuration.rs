//! The configuration, with the addresses of servers out of `SOCKS_NS`.

use std::fs;

use pmsocks_common::{Configuration, name_server};
use socks_conf::Server;
use socks_dial::HandedOn;

use crate::name_server::{NameError, NameServer, own_domains};

const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error(transparent)]
    Configuration(#[from] pmsocks_common::ConfigurationError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("SOCKS_NS is not valid UTF-8")]
    NotText,
}

/// Reads it, and asks the name server if there is one to ask.
pub(crate) fn load() -> Result<Configuration, ConfigurationError> {
    let mut configuration = Configuration::load()?;
    if let Some(name_server) = name_server() {
        let name_server = name_server.to_str().ok_or(ConfigurationError::NotText)?;
        configuration.settings.handed_on = ask_for_servers(name_server, &configuration)?;
    }
    Ok(configuration)
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
