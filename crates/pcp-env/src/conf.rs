//! `pcp.conf`: the file that names the folders and files of an installation, and the environment
//! that overrides it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where the file lies unless `PCP_CONF` names another.
const DEFAULT_CONF: &str = "/etc/pcp.conf";

/// What Debian's and upstream's packages put into `pcp.conf`, for machines without one.
const DEFAULTS: &[(&str, &str)] = &[
    ("PCP_LOG_DIR", "/var/log/pcp"),
    ("PCP_RUN_DIR", "/run/pcp"),
    ("PCP_SYSCONF_DIR", "/etc/pcp"),
    ("PCP_TLSCONF_PATH", "/etc/pcp/tls.conf"),
    ("PCP_TMP_DIR", "/var/lib/pcp/tmp"),
    ("PCP_USER", "pcp"),
    ("PCP_VAR_DIR", "/var/lib/pcp"),
];

/// Why `pcp.conf` could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// The file cannot be read. Only the default one may be missing.
    #[error("cannot read {path} (PCP_CONF may name another file): {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is no setting.
    #[error("{path}:{line}: expected NAME=value, found {text:?}")]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// The process environment and `pcp.conf` together. A variable of the environment wins over the
/// file, as in `pcp.conf(5)`; an empty value counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    process: BTreeMap<String, OsString>,
    file: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the process environment and the file that it names.
    ///
    /// # Errors
    /// [`ConfError`] when the file cannot be read or holds a line that is no setting. A missing
    /// default file is no error.
    pub fn load() -> Result<Environment, ConfError> {
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Environment::from_variables(process)
    }

    /// The same for a given set of variables.
    ///
    /// # Errors
    /// As for [`Environment::load`].
    pub fn from_variables(process: BTreeMap<String, OsString>) -> Result<Environment, ConfError> {
        let mut environment = Environment {
            process,
            file: BTreeMap::new(),
        };
        let named = environment.process_path("PCP_CONF");
        let path = named.as_deref().unwrap_or(Path::new(DEFAULT_CONF));
        match read(path) {
            Ok(text) => environment.file = parse(&text, path)?,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(ConfError::Unreadable {
                    path: path.into(),
                    source,
                });
            }
        }
        Ok(environment)
    }

    /// Sets a variable as if it stood in the process environment, and wins over what stood there.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<OsString>) {
        self.process.insert(name.into(), value.into());
    }

    fn process_path(&self, name: &str) -> Option<PathBuf> {
        self.process
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    /// A variable as text; one that is not UTF-8 is shown with replacement characters, so that an
    /// error about it can still name it.
    pub fn get(&self, name: &str) -> Option<String> {
        self.process
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|value| value.to_string_lossy().into_owned())
            .or_else(|| self.file.get(name).cloned())
            .or_else(|| {
                DEFAULTS
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).into())
            })
    }

    /// Whether the process has a variable, be it empty. `pcp.conf` does not count.
    pub fn is_set(&self, name: &str) -> bool {
        self.process.contains_key(name)
    }

    /// A variable as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.process_path(name)
            .or_else(|| self.get(name).map(PathBuf::from))
    }

    /// Where pid files and sockets lie (`PCP_RUN_DIR`).
    pub fn run_dir(&self) -> PathBuf {
        self.path("PCP_RUN_DIR").unwrap_or_default()
    }

    /// Where configuration lies (`PCP_SYSCONF_DIR`).
    pub fn sysconf_dir(&self) -> PathBuf {
        self.path("PCP_SYSCONF_DIR").unwrap_or_default()
    }

    /// Where daemons leave what other daemons read (`PCP_TMP_DIR`).
    pub fn tmp_dir(&self) -> PathBuf {
        self.path("PCP_TMP_DIR").unwrap_or_default()
    }

    /// The user that PCP's daemons run as (`PCP_USER`).
    pub fn user(&self) -> String {
        self.get("PCP_USER").unwrap_or_default()
    }
}

/// The largest file that is read, in bytes; the usual one has 4 kB.
const MAX_SIZE: u64 = 1 << 20;

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_SIZE).read_to_string(&mut text)?;
    if read as u64 == MAX_SIZE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// Reads `NAME=value` lines; `#` starts a comment line, and a value may stand in quotes. Names that
/// do not begin with `PCP_` have no effect, so that the file can set no other variable.
fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, String>, ConfError> {
    let mut settings = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_name(name)) else {
            return Err(ConfError::BadLine {
                path: path.into(),
                line: index + 1,
                text: line.chars().take(80).collect(),
            });
        };
        let value = unquote(value.trim());
        if !value.is_empty() && name.starts_with("PCP_") {
            settings.insert(name.into(), value.into());
        }
    }
    Ok(settings)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unquote(value: &str) -> &str {
    let quoted = |mark: char| {
        value
            .strip_prefix(mark)
            .and_then(|rest| rest.strip_suffix(mark))
    };
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_conf(conf: &str, more: &[(&str, &str)]) -> Result<Environment, ConfError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pcp.conf");
        std::fs::write(&path, conf).unwrap();
        let mut variables = BTreeMap::from([("PCP_CONF".into(), path.into_os_string())]);
        variables.extend(
            more.iter()
                .map(|(name, value)| ((*name).into(), value.into())),
        );
        Environment::from_variables(variables)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let conf = "# folders\nPCP_RUN_DIR=/run/file\nPCP_LOG_DIR=\"/log/file\"\n\nPCP_USER=\n";
        let environment = with_conf(conf, &[("PCP_LOG_DIR", "/log/env")]).unwrap();
        assert_eq!(environment.run_dir(), Path::new("/run/file"));
        assert_eq!(
            environment.path("PCP_LOG_DIR").unwrap(),
            Path::new("/log/env")
        );
        assert_eq!(environment.user(), "pcp");
        assert_eq!(environment.get("PMPROXY_PORT"), None);
    }

    #[test]
    fn the_file_sets_no_variables_but_those_of_pcp() {
        let environment = with_conf("PMPROXY_PORT=1\nPATH=/tmp\nPCP_USER=me\n", &[]).unwrap();
        assert_eq!(environment.get("PMPROXY_PORT"), None);
        assert_eq!(environment.get("PATH"), None);
        assert_eq!(environment.user(), "me");
    }

    #[test]
    fn an_endless_file_is_refused() {
        let variables = BTreeMap::from([("PCP_CONF".into(), "/dev/zero".into())]);
        let error = Environment::from_variables(variables).unwrap_err();
        assert!(
            error.to_string().ends_with("it is larger than 1 MiB"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_line_is_named_with_its_place() {
        let error = with_conf("PCP_USER=pcp\nexport nonsense\n", &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("pcp.conf:2: expected NAME=value, found \"export nonsense\"")
        );
    }

    #[test]
    fn a_file_that_pcp_conf_names_must_be_readable() {
        let variables = BTreeMap::from([("PCP_CONF".into(), "/no/such/pcp.conf".into())]);
        let error = Environment::from_variables(variables)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot read /no/such/pcp.conf (PCP_CONF may name another file)"),
            "{error}"
        );
    }
}
