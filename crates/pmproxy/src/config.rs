//! `pmproxy.conf`: the settings that have no option.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gate::policy::{Policy, PolicyError};
use ini::{Ini, ParseOption};

use crate::certificates::TlsSettings;

/// Clients at the same time unless the configuration says otherwise.
pub(crate) const MAX_CLIENTS: usize = 10_000;

/// The largest number of clients that can be asked for.
const MOST_CLIENTS: usize = 1_000_000;

/// Settings of today's C program that this one has no use for, in `[pmproxy]`.
const WITHOUT_EFFECT: &[&str] = &[
    "chunksize",
    "http.enabled",
    "keepalive",
    "maxpending",
    "pcp.enabled",
    "redis.enabled",
];

/// Sections that belong to services which this program does not offer.
const FOREIGN_SECTIONS: &[&str] = &[
    "redis", "keys", "resp", "discover", "pmsearch", "pmseries", "pmlogger", "http",
];

/// The largest file that is read, in bytes; the one that today's program comes with has 4 kB.
const MAX_SIZE: u64 = 1 << 20;

/// What the file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `clients.max`
    pub(crate) max_clients: usize,
    /// `admin.socket`
    pub(crate) admin_socket: Option<PathBuf>,
    /// `admin.address`
    pub(crate) admin_address: Option<SocketAddr>,
    /// `counters.pdus`
    pub(crate) count_pdus: bool,
    /// `secure.enabled`
    pub(crate) secure: bool,
    /// Certificates, keys and ciphers.
    pub(crate) tls: TlsSettings,
    /// `mmv.enabled`
    pub(crate) mmv: bool,
    /// `[access]`
    pub(crate) policy: Policy,
    /// What the log should say about it.
    pub(crate) remarks: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_clients: MAX_CLIENTS,
            admin_socket: None,
            admin_address: None,
            count_pdus: true,
            secure: true,
            tls: TlsSettings::default(),
            mmv: true,
            policy: Policy::default(),
            remarks: Vec::new(),
        }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {}: {}", .path.display(), gate::describe(.error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the configuration {} is larger than {MAX_SIZE} bytes", .0.display())]
    TooLarge(PathBuf),
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
    #[error("{}: [access] {source}", .path.display())]
    Access { path: PathBuf, source: PolicyError },
}

impl Config {
    /// Reads a file that must exist.
    pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
        let mut text = String::new();
        match File::open(path).and_then(|file| file.take(MAX_SIZE).read_to_string(&mut text)) {
            Ok(_) if text.len() as u64 == MAX_SIZE => Err(ConfigError::TooLarge(path.into())),
            Ok(_) => Config::parse(&text, path),
            Err(error) => Err(ConfigError::Unreadable {
                path: path.into(),
                error,
            }),
        }
    }

    /// Reads a file that need not exist.
    pub(crate) fn read_default(path: &Path) -> Result<Config, ConfigError> {
        match Config::read(path) {
            Err(ConfigError::Unreadable { error, .. })
                if error.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Config::default())
            }
            other => other,
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        // Values are taken as they stand, as by today's program: a password for another service may
        // have a quote or a backslash in it.
        let raw = ParseOption {
            enabled_quote: false,
            enabled_escape: false,
            ..ParseOption::default()
        };
        let ini = Ini::load_from_str_opt(text, raw).map_err(|error| ConfigError::Syntax {
            path: path.into(),
            line: error.line + 1,
            what: error.msg.to_string(),
        })?;
        let mut config = Config::default();
        let mut ignored = Ignored::default();
        let mut rules = ini.section_all(Some("access")).peekable();
        if rules.peek().is_some() {
            let rules = rules.flat_map(|section| section.iter());
            config.policy = Policy::parse(rules).map_err(|source| ConfigError::Access {
                path: path.into(),
                source,
            })?;
        }
        for (section, settings) in &ini {
            match section {
                Some("pmproxy") => {
                    for (key, value) in settings {
                        config.set(key, value, path, &mut ignored)?;
                    }
                }
                Some("access") => {}
                None => ignored
                    .unknown
                    .extend(settings.iter().map(|(key, _)| key.into())),
                Some(name) if FOREIGN_SECTIONS.contains(&name) => {
                    ignored.without_effect.insert(format!("[{name}]"));
                }
                Some(name) => {
                    ignored.unknown.insert(format!("[{name}]"));
                }
            }
        }
        config.remarks = ignored.remarks(path);
        Ok(config)
    }

    /// The settings that take effect at the next start only, as far as they are others than in
    /// `running`.
    pub(crate) fn fixed_that_differ(&self, running: &Config) -> impl Iterator<Item = &'static str> {
        let fixed = [
            ("admin.socket", self.admin_socket != running.admin_socket),
            ("admin.address", self.admin_address != running.admin_address),
            ("counters.pdus", self.count_pdus != running.count_pdus),
            ("mmv.enabled", self.mmv != running.mmv),
        ];
        let differ = fixed.into_iter().filter(|(_, differs)| *differs);
        differ.map(|(name, _)| name)
    }

    fn set(
        &mut self,
        key: &str,
        value: &str,
        path: &Path,
        ignored: &mut Ignored,
    ) -> Result<(), ConfigError> {
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
            "admin.address" => match value.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => self.admin_address = Some(address),
                _ => return refuse("admin.address", "ADDRESS:PORT, as in 127.0.0.1:44380"),
            },
            "counters.pdus" => match value.parse() {
                Ok(count) => self.count_pdus = count,
                Err(_) => return refuse("counters.pdus", "true or false"),
            },
            "secure.enabled" => match value.parse() {
                Ok(secure) => self.secure = secure,
                Err(_) => return refuse("secure.enabled", "true or false"),
            },
            _ if self.tls.set(key, value, path) => {}
            "mmv.enabled" => match value.parse() {
                Ok(enabled) => self.mmv = enabled,
                Err(_) => return refuse("mmv.enabled", "true or false"),
            },
            _ if WITHOUT_EFFECT.contains(&key) => {
                ignored.without_effect.insert(key.into());
            }
            _ => {
                ignored.unknown.insert(key.into());
            }
        }
        Ok(())
    }
}

/// What stands in the file and is passed over. Sections are in brackets.
#[derive(Debug, Default)]
struct Ignored {
    /// Known from today's program.
    without_effect: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Ignored {
    /// One line for each kind, so that a file made for today's program does not fill the log.
    fn remarks(&self, path: &Path) -> Vec<String> {
        let tell = |what: &str, names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let names = names.join(", ");
            (!names.is_empty()).then(|| format!("{}: {what}: {names}", path.display()))
        };
        let kinds = [
            tell("without effect here", &self.without_effect),
            tell("unknown and ignored", &self.unknown),
        ];
        kinds.into_iter().flatten().collect()
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
        let text = "# ours\n[pmproxy]\nclients.max = 20\nadmin.socket = /run/x\n\
                    admin.address = [::1]:44380\ncounters.pdus = false\nmmv.enabled = false\nhttp.enabled = true\n\
                    pcp.enabled = true\ncolour = blue\n[redis]\nservers = localhost:6379\n\
                    password = \"a\\b\n[paint]\n";
        let config = parse(text).unwrap();
        assert_eq!(config.max_clients, 20);
        assert_eq!(config.admin_socket, Some("/run/x".into()));
        assert_eq!(config.admin_address, "[::1]:44380".parse().ok());
        assert!(!config.count_pdus && !config.mmv);
        assert_eq!(
            config.remarks,
            [
                "pmproxy.conf: without effect here: [redis], http.enabled, pcp.enabled",
                "pmproxy.conf: unknown and ignored: [paint], colour",
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
        for address in [
            "44380",
            "127.0.0.1",
            "localhost:44380",
            "127.0.0.1:0",
            "::1:44380",
        ] {
            let text = format!("[pmproxy]\nadmin.address = {address}\n");
            assert!(error(&text).contains("expected ADDRESS:PORT"), "{address}");
        }
        for switch in ["counters.pdus", "mmv.enabled"] {
            let text = format!("[pmproxy]\n{switch} = no\n");
            assert!(error(&text).ends_with("expected true or false"), "{switch}");
        }
        assert!(
            error("[pmproxy]\n\nclients.max\n").starts_with("pmproxy.conf:"),
            "{}",
            error("[pmproxy]\n\nclients.max\n")
        );
        assert!(error("[pmproxy\n").starts_with("pmproxy.conf:"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_configuration_or_an_error(text in r#"([\[\]=:#;'" \\\r\n\t]|[a-z.]{1,5}|\PC)*"#) {
            let _ = parse(&text);
        }
    }

    #[test]
    fn an_endless_file_is_refused() {
        let error = Config::read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration /dev/zero is larger than 1048576 bytes"
        );
    }

    #[test]
    fn rules_of_access_are_taken_in_order_and_an_empty_section_is_an_error() {
        let open = parse("[pmproxy]\nclients.max = 1\n").unwrap().policy;
        assert!(open.is_open());
        let text =
            "[access]\ndeny = to local\nallow = from local\n[pmproxy]\n[access]\ndeny = to any\n";
        let policy = parse(text).unwrap().policy;
        let rules: Vec<_> = policy
            .rules()
            .iter()
            .map(|rule| rule.rule().to_string())
            .collect();
        assert_eq!(
            rules,
            [
                "deny from any to local",
                "allow from local to any",
                "deny from any to any"
            ]
        );
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert!(error("[access]\n").starts_with("pmproxy.conf: [access] "));
        assert!(error("[access]\npermit = to any\n").contains("expected allow or deny"));
    }

    #[test]
    fn only_a_file_that_was_asked_for_must_exist() {
        let path = Path::new("/no/such/pmproxy.conf");
        assert_eq!(Config::read_default(path).unwrap().max_clients, MAX_CLIENTS);
        let error = Config::read(path).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read the configuration /no/such/pmproxy.conf: No such file or directory"
        );
    }
}
