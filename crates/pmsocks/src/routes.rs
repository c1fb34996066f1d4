//! The configuration: the routes, the variables, and the addresses of servers out of `SOCKS_NS`.

use std::{env, fs};

use socks_conf::{LoadError, Routes, Server};
use socks_dial::{Settings, SettingsError};

use crate::name_server::{NameError, NameServer, own_domains};

const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// All that says how connections are made.
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    pub(crate) routes: Routes,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("{0}")]
    Settings(#[from] SettingsError),
    #[error("{0}")]
    Routes(#[from] LoadError),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("SOCKS_NS is not valid UTF-8")]
    NotText,
}

impl Configuration {
    /// Reads it, and asks the name server if there is one to ask.
    pub(crate) fn load() -> Result<Configuration, ConfigurationError> {
        let mut settings = Settings::from_env()?;
        let routes = Routes::load(&settings.routes_file)?;
        if let Some(untrusted) = routes.commands_off().filter(|_| settings.debug) {
            socks_dial::report(&format_args!(
                "{}: shell commands are not run: {untrusted}",
                settings.routes_file.display()
            ));
        }
        if let Some(name_server) = env::var_os("SOCKS_NS").filter(|value| !value.is_empty()) {
            let name_server = name_server.to_str().ok_or(ConfigurationError::NotText)?;
            ask_for_servers(name_server, &mut settings, &routes)?;
        }
        Ok(Configuration { settings, routes })
    }
}

/// Finds the addresses of all servers that go by a name.
fn ask_for_servers(
    name_server: &str,
    settings: &mut Settings,
    routes: &Routes,
) -> Result<(), NameError> {
    let name_server = NameServer::from_text(name_server)?;
    let domains = own_domains(&fs::read_to_string(RESOLVER_FILE).unwrap_or_default());
    let mut found = socks_dial::HandedOn::default();
    for Server { host, .. } in settings.server.iter().chain(routes.servers()) {
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        if !is_address && found.addresses(host).is_none() {
            found.add(host, name_server.addresses(host, &domains)?);
        }
    }
    settings.handed_on = found;
    Ok(())
}
