//! Reads a configuration file into a [`Config`]: all of it or nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use virt_conf::Setting;

use super::check::check;
use super::error::{ConfigError, MAX_SIZE};
use super::given::{Given, Wrong};
use super::keys::{Effect, find, near};
use super::{Config, Mode};

/// As much of an unknown key is shown, in characters.
const LONGEST_SHOWN: usize = 64;

/// The settings that a file has so far.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: Config,
    /// The lines of the keys that are set.
    pub(super) lines: BTreeMap<&'static str, usize>,
}

impl Draft {
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }
}

impl Config {
    /// Reads a file that must exist. `mode` decides about defaults.
    pub(crate) fn read(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
        Config::parse(&load(path)?, path, mode)
    }

    /// Reads a file that need not exist.
    pub(crate) fn read_default(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
        match Config::read(path, mode) {
            Err(ConfigError::Missing(_)) => Ok(Config::new(mode)),
            other => other,
        }
    }

    /// Reads what stands in the file at `path`.
    pub(super) fn parse(text: &str, path: &Path, mode: Mode) -> Result<Config, ConfigError> {
        let settings = virt_conf::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.into(),
            line: error.line,
            problem: error.problem,
        })?;
        let mut draft = Draft {
            config: Config::new(mode),
            lines: BTreeMap::new(),
        };
        let mut idle = Vec::new();
        for setting in &settings {
            let (key, effect) = draft.take(setting, path)?;
            if effect == Effect::None {
                idle.push(key);
            }
        }
        draft.decide_permissions();
        check(&mut draft).map_err(|(key, what)| ConfigError::Value {
            path: path.into(),
            line: draft.lines.get(key).copied().unwrap_or(1),
            key,
            what,
        })?;
        if !idle.is_empty() {
            draft.config.remarks.push(format!(
                "{}: without effect in this virtproxyd: {}",
                path.display(),
                idle.join(", ")
            ));
        }
        Ok(draft.config)
    }
}

impl Draft {
    /// Takes one setting over.
    fn take(
        &mut self,
        setting: &Setting<'_>,
        path: &Path,
    ) -> Result<(&'static str, Effect), ConfigError> {
        let line = setting.line;
        let Some(key) = find(setting.key) else {
            return Err(ConfigError::Unknown {
                path: path.into(),
                line,
                key: setting.key.chars().take(LONGEST_SHOWN).collect(),
                near: near(setting.key),
            });
        };
        if let Some(first) = self.lines.insert(key.name, line) {
            return Err(ConfigError::Duplicate {
                path: path.into(),
                line,
                key: key.name,
                first,
            });
        }
        let given = Given::new(&setting.value, line);
        (key.set)(&mut self.config, &given).map_err(|Wrong { line, what }| ConfigError::Value {
            path: path.into(),
            line,
            key: key.name,
            what,
        })?;
        Ok((key.name, key.effect))
    }

    /// Permissions that are not set depend on how clients authenticate.
    fn decide_permissions(&mut self) {
        if !self.is_set("unix_sock_rw_perms") {
            self.config.listening.unix_rw_mode = self.config.auth.default_rw_mode();
        }
    }
}

/// The text of a file. It is opened so that a pipe without a writer does not hold the daemon up.
fn load(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing(path.into()),
        io::ErrorKind::IsADirectory => ConfigError::Folder(path.into()),
        _ => ConfigError::Unreadable {
            path: path.into(),
            error,
        },
    };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err(ConfigError::Folder(path.into()));
    }
    // Some name /dev/null for an empty configuration.
    if !kind.is_file() && !kind.is_char_device() {
        return Err(ConfigError::NotAFile(path.into()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(ConfigError::TooLarge(path.into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes().get(..good).unwrap_or_default();
        ConfigError::NotUtf8 {
            path: path.into(),
            line: 1 + bytes.iter().filter(|byte| **byte == b'\n').count(),
        }
    })
}
