//! The variables that say how SOCKS servers are used.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pcp_env::{CONNECT_TIMEOUT, TimeoutError, parse_timeout};
use socks_conf::{Routes, Server};
use socks_proto::Version;
use zeroize::Zeroizing;

use crate::handed_on::{HANDED_ON, HandedOn};
use crate::report::{look, report};

/// Where the routes are, unless `PCP_SOCKS_CONF` names another file (pmsocks(1)).
pub const DEFAULT_ROUTES: &str = "/etc/pcp_socks.conf";

/// The port of a SOCKS server, unless `SOCKS_PORT` or the server's own says otherwise (RFC 1928).
const DEFAULT_PORT: u16 = 1080;

/// What a user of SOCKS servers has set.
#[derive(Clone)]
pub struct Settings {
    /// `SOCKS_SERVER`: the server of `sockd` lines that name none.
    pub server: Option<Server>,
    /// `SOCKS_PORT`: the port of servers that come without one.
    pub port: u16,
    /// `SOCKS_VERSION`; without one, 5 is tried and then 4.
    pub version: Option<Version>,
    /// `SOCKS_USER` and `SOCKS_PASSWORD`.
    pub user: Option<String>,
    /// `SOCKS_PASSWORD`; an empty one counts as none.
    pub password: Option<Zeroizing<String>>,
    /// `PMCD_CONNECT_TIMEOUT`: how long a connection may take in all.
    pub timeout: Duration,
    /// Whether `PMCD_CONNECT_TIMEOUT` was set.
    pub timeout_is_set: bool,
    /// `SOCKS_DEBUG`: tell on standard error what happens.
    pub debug: bool,
    /// `SOCKS_BANNER`: tell on standard output that the library is there.
    pub banner: bool,
    /// `PCP_SOCKS_CONF`, or the usual file.
    pub routes_file: PathBuf,
    /// What `SOCKS_NS` said about the servers' names.
    pub handed_on: HandedOn,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("version", &self.version)
            .field("user", &self.user)
            .field("timeout", &self.timeout)
            .field("routes_file", &self.routes_file)
            .finish_non_exhaustive()
    }
}

/// Why a variable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable has a value that makes no sense. A password is not shown.
    #[error("{variable}={value:?}: {why}")]
    Value {
        /// The variable.
        variable: &'static str,
        /// Its value, cut to 60 characters.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// `PMCD_CONNECT_TIMEOUT` is no time.
    #[error(transparent)]
    Timeout(#[from] TimeoutError),
    /// A password alone is of no use.
    #[error("SOCKS_PASSWORD is set and SOCKS_USER is not: set both, or neither")]
    PasswordAlone,
    /// RFC 1929 has one byte for each length.
    #[error("{0} is longer than the 255 bytes that SOCKS 5 has room for")]
    TooLong(&'static str),
    /// Bytes that are not text.
    #[error("{0} is not valid UTF-8")]
    NotText(&'static str),
}

impl Settings {
    /// Reads them from the environment. An empty variable counts as one that is not set, but for
    /// `SOCKS_DEBUG` and `SOCKS_BANNER`, which only have to be there.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that cannot be used.
    pub fn from_env() -> Result<Settings, SettingsError> {
        Settings::read(&|variable| env::var_os(variable))
    }

    /// The same, out of variables that `get` has.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that cannot be used.
    pub fn read(
        get: &dyn Fn(&'static str) -> Option<std::ffi::OsString>,
    ) -> Result<Settings, SettingsError> {
        // What is reported goes to the files that the standard streams are now.
        look();
        let text = |variable| match get(variable) {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|_| SettingsError::NotText(variable)),
        };
        let timeout = text("PMCD_CONNECT_TIMEOUT")?;
        let settings = Settings {
            server: parsed("SOCKS_SERVER", text("SOCKS_SERVER")?)?,
            port: text("SOCKS_PORT")?.map_or(Ok(DEFAULT_PORT), |value| port(&value))?,
            version: parsed("SOCKS_VERSION", text("SOCKS_VERSION")?)?,
            user: text("SOCKS_USER")?,
            password: text("SOCKS_PASSWORD")?.map(Zeroizing::new),
            timeout_is_set: timeout.is_some(),
            timeout: match timeout {
                Some(value) => parse_timeout("PMCD_CONNECT_TIMEOUT", &value)?,
                None => CONNECT_TIMEOUT,
            },
            debug: get("SOCKS_DEBUG").is_some(),
            banner: get("SOCKS_BANNER").is_some(),
            routes_file: match get("PCP_SOCKS_CONF") {
                Some(path) if !path.is_empty() => PathBuf::from(path),
                _ => PathBuf::from(DEFAULT_ROUTES),
            },
            handed_on: parsed(HANDED_ON, text(HANDED_ON)?)?.unwrap_or_default(),
        };
        settings.checked()
    }

    fn checked(self) -> Result<Settings, SettingsError> {
        match (&self.user, &self.password) {
            (None, Some(_)) => Err(SettingsError::PasswordAlone),
            (Some(user), _) if user.len() > 255 => Err(SettingsError::TooLong("SOCKS_USER")),
            (_, Some(password)) if password.len() > 255 => {
                Err(SettingsError::TooLong("SOCKS_PASSWORD"))
            }
            _ => Ok(self),
        }
    }
}

fn parsed<T>(variable: &'static str, value: Option<String>) -> Result<Option<T>, SettingsError>
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    value
        .map(|value| {
            let parsed = value.parse();
            parsed.map_err(|error: T::Err| bad(variable, &value, &error.to_string()))
        })
        .transpose()
}

fn port(value: &str) -> Result<u16, SettingsError> {
    match value.trim().parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(bad(
            "SOCKS_PORT",
            value,
            "a port is a number from 1 to 65535",
        )),
    }
}

fn bad(variable: &'static str, value: &str, why: &str) -> SettingsError {
    SettingsError::Value {
        variable,
        value: value.chars().take(60).collect(),
        why: why.to_owned(),
    }
}

impl Settings {
    /// Tells on standard error why no shell command of the routes is run, if that is wanted and so.
    pub fn tell_what_is_off(&self, routes: &Routes) {
        if let Some(untrusted) = routes.commands_off() {
            let file = self.routes_file.display();
            self.say(&format_args!(
                "{file}: shell commands are not run: {untrusted}"
            ));
        }
    }

    /// Tells on standard error, if that is wanted.
    pub(crate) fn say(&self, line: &fmt::Arguments<'_>) {
        if self.debug {
            report(line);
        }
    }
}
