//! `pmproxy.conf`: the settings that have no option.

use std::io;
use std::path::{Path, PathBuf};

use ini::Ini;

/// Clients at the same time unless the configuration says otherwise.
pub(crate) const MAX_CLIENTS: usize = 10_000;

/// The largest number of clients that can be asked for.
const MOST_CLIENTS: usize = 1_000_000;

/// Settings of today's C program that this one has no use for, in `[pmproxy]`.
const WITHOUT_EFFECT: &[&str] = &[
    "pcp.enabled",
    "http.enabled",
    "redis.enabled",
    "secure.enabled",
    "chunksize",
];

/// Sections that belong to services which this program does not offer.
const FOREIGN_SECTIONS: &[&str] = &[
    "redis", "keys", "resp", "discover", "pmsearch", "pmseries", "pmlogger", "http",
];

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `clients.max`
    pub(crate) max_clients: usize,
    /// `admin.socket`
    pub(crate) admin_socket: Option<PathBuf>,
    /// What the log should say about it.
    pub(crate) remarks: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_clients: MAX_CLIENTS,
            admin_socket: None,
            remarks: Vec::new(),
        }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {}: {}", .path.display(), gate::describe(.source))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {what}", .path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        what: String,
    },
    #[error("{}: [pmproxy] {key} = {value:?}: expected {expected}", .path.display())]
    Value {
        path: PathBuf,
        key: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl Config {
    /// Reads a file that must exist.
    pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(&text, path),
            Err(source) => Err(ConfigError::Unreadable {
                path: path.into(),
                source,
            }),
        }
    }

    /// Reads a file that need not exist.
    pub(crate) fn read_default(path: &Path) -> Result<Config, ConfigError> {
        if path.exists() {
            Config::read(path)
        } else {
            Ok(Config::default())
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let ini = Ini::load_from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.into(),
            line: error.line + 1,
            what: error.msg.to_string(),
        })?;
        let mut config = Config::default();
        for (section, settings) in &ini {
            match section {
                Some("pmproxy") => {
                    for (key, value) in settings {
                        config.set(key, value, path)?;
                    }
                }
                None if settings.is_empty() => {}
                Some(name) if FOREIGN_SECTIONS.contains(&name) => config.remark(
                    path,
                    format_args!("section [{name}] has no effect: there is no such service here"),
                ),
                Some(name) => config.remark(path, format_args!("section [{name}] is unknown")),
                None => config.remark(
                    path,
                    format_args!("settings before any section are ignored"),
                ),
            }
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str, path: &Path) -> Result<(), ConfigError> {
        let refuse = |key, expected| {
            Err(ConfigError::Value {
                path: path.into(),
                key,
                value: value.into(),
                expected,
            })
        };
        match key {
            "clients.max" => match value.parse() {
                Ok(count @ 1..=MOST_CLIENTS) => self.max_clients = count,
                _ => return refuse("clients.max", "a number from 1 to 1000000"),
            },
            "admin.socket" if Path::new(value).is_absolute() => {
                self.admin_socket = Some(value.into());
            }
            "admin.socket" => return refuse("admin.socket", "an absolute path"),
            _ if WITHOUT_EFFECT.contains(&key) => {
                self.remark(path, format_args!("[pmproxy] {key} has no effect"));
            }
            _ => self.remark(path, format_args!("[pmproxy] {key} is unknown and ignored")),
        }
        Ok(())
    }

    fn remark(&mut self, path: &Path, what: std::fmt::Arguments<'_>) {
        self.remarks.push(format!("{}: {what}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("pmproxy.conf"))
    }

    #[test]
    fn our_settings_are_read_and_those_of_today_are_passed_over_with_a_remark() {
        let text = "# ours\n[pmproxy]\nclients.max = 20\nadmin.socket = /run/x\nhttp.enabled = true\n\
                    colour = blue\n[redis]\nservers = localhost:6379\n";
        let config = parse(text).unwrap();
        assert_eq!(config.max_clients, 20);
        assert_eq!(config.admin_socket, Some("/run/x".into()));
        assert_eq!(
            config.remarks,
            [
                "pmproxy.conf: [pmproxy] http.enabled has no effect",
                "pmproxy.conf: [pmproxy] colour is unknown and ignored",
                "pmproxy.conf: section [redis] has no effect: there is no such service here",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            error("[pmproxy]\nclients.max = many\n"),
            "pmproxy.conf: [pmproxy] clients.max = \"many\": expected a number from 1 to 1000000"
        );
        assert!(error("[pmproxy]\nadmin.socket = here\n").ends_with("expected an absolute path"));
        assert!(
            error("[pmproxy]\n\nclients.max\n").starts_with("pmproxy.conf:"),
            "{}",
            error("[pmproxy]\n\nclients.max\n")
        );
        assert!(error("[pmproxy\n").starts_with("pmproxy.conf:"));
    }

    #[test]
    fn only_a_file_that_was_asked_for_must_exist() {
        let path = Path::new("/no/such/pmproxy.conf");
        assert_eq!(Config::read_default(path).unwrap(), Config::default());
        let error = Config::read(path).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read the configuration /no/such/pmproxy.conf: No such file or directory"
        );
    }
}
