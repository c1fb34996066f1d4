//! The two files of a pmproxy that is started at boot: lines of options, and its variables. They are
//! read here; what the options and variables mean is not known here.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// Why one of the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootFileError {
    #[error("cannot read {}: {}", path.display(), gate::describe(.error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}:{line}: a quote is not closed: {text:?}", path.display())]
    Quote {
        path: PathBuf,
        line: usize,
        text: String,
    },
    #[error("{}:{line}: expected PMPROXY_NAME=value, found {text:?}", path.display())]
    NoVariable {
        path: PathBuf,
        line: usize,
        text: String,
    },
}

/// A line that counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Its words, split as a shell does: quotes hold words together, `#` begins a comment, and
    /// nothing is expanded.
    pub(crate) words: Vec<String>,
}

/// The lines of `pmproxy.options`: those that begin with a hyphen.
pub(crate) fn read_options(path: &Path) -> Result<Vec<Line>, BootFileError> {
    split(&read(path)?, path, |line| line.starts_with('-'))
}

/// The variables of `$PCP_SYSCONFIG_DIR/pmproxy`: those whose name begins with `PMPROXY_`. The file
/// need not exist. Other settings have no effect, as with the init script of PCP.
pub(crate) fn read_variables(path: &Path) -> Result<Vec<(String, String)>, BootFileError> {
    let text = match read(path) {
        Err(BootFileError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        other => other?,
    };
    let mut variables = Vec::new();
    for line in split(&text, path, |line| line.starts_with("PMPROXY"))? {
        for word in line.words {
            let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_ours(name)) else {
                return Err(BootFileError::NoVariable {
                    path: path.into(),
                    line: line.number,
                    text: excerpt(&word),
                });
            };
            variables.push((name.into(), value.into()));
        }
    }
    Ok(variables)
}

fn is_ours(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.strip_prefix("PMPROXY_")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_word))
}

fn split(
    text: &str,
    path: &Path,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<Line>, BootFileError> {
    let lines = text.lines().enumerate().filter(|(_, line)| counts(line));
    lines
        .map(|(index, line)| {
            let number = index + 1;
            let words = shlex::split(line).ok_or_else(|| BootFileError::Quote {
                path: path.into(),
                line: number,
                text: excerpt(line),
            })?;
            Ok(Line { number, words })
        })
        .collect()
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

fn read(path: &Path) -> Result<String, BootFileError> {
    let read = || {
        let mut text = String::new();
        let size = File::open(path)?.take(MAX_SIZE).read_to_string(&mut text)?;
        if size as u64 == MAX_SIZE {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|error| BootFileError::Unreadable {
        path: path.into(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn variables(text: &str) -> Result<Vec<(String, String)>, String> {
        let (_folder, path) = file(text);
        read_variables(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_of_options_begin_with_a_hyphen_and_are_split_as_a_shell_does() {
        let text = "# -f\n-A\n\n -p 1\noption\n-M 'a \"b\" c' -i\"::1\" # more\n-l $HOME/*\\ x\n";
        let (_folder, path) = file(text);
        let lines = read_options(&path).unwrap();
        let words: Vec<_> = lines.iter().map(|line| line.words.join("|")).collect();
        assert_eq!(words, ["-A", "-M|a \"b\" c|-i::1", "-l|$HOME/* x"]);
        assert_eq!(lines[1].number, 6);
    }

    #[test]
    fn only_variables_of_pmproxy_are_taken() {
        let text = "# PMPROXY_A=1\nPATH=/tmp\nexport PMPROXY_B=1\nPMPROXY_LOCAL=1 # here\n\
                    PMPROXY_PORT='1, 2' PMPROXY_X=\n";
        let pairs = variables(text).unwrap();
        let shown: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            shown,
            ["PMPROXY_LOCAL=1", "PMPROXY_PORT=1, 2", "PMPROXY_X="]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = variables("\nPMPROXY_LOCAL = 1\n").unwrap_err();
        let expected = ":2: expected PMPROXY_NAME=value, found \"PMPROXY_LOCAL\"";
        assert!(error.ends_with(expected), "{error}");
        assert!(variables("PMPROXYX=1").unwrap_err().contains("PMPROXYX=1"));
        assert!(variables("PMPROXY_=1").unwrap_err().contains("PMPROXY_=1"));
        let error = variables("PMPROXY_PORT='1\n").unwrap_err();
        assert!(error.contains(":1: a quote is not closed: "), "{error}");
        let endless = read_options(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            endless.to_string(),
            "cannot read /dev/zero: it is larger than 1 MiB"
        );
    }

    #[test]
    fn the_options_must_be_there_and_the_variables_need_not() {
        let missing = Path::new("/no/such/file");
        assert!(read_variables(missing).unwrap().is_empty());
        let error = read_options(missing).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read /no/such/file: No such file"),
            "{error}"
        );
    }
}
