//! Why a configuration file cannot be used.

use std::io;
use std::path::PathBuf;

/// The largest file that is read, in bytes; the one that libvirt comes with has 19 kB.
pub(super) const MAX_SIZE: u64 = 1 << 20;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration file {} does not exist", .0.display())]
    Missing(PathBuf),
    #[error("cannot read the configuration {}: {}", .path.display(), gate::describe(.error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the configuration {} is a folder; name the file in it", .0.display())]
    Folder(PathBuf),
    #[error("the configuration {} is not a plain file", .0.display())]
    NotAFile(PathBuf),
    #[error("the configuration {} is larger than {MAX_SIZE} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{}:{line}: not UTF-8", .path.display())]
    NotUtf8 { path: PathBuf, line: usize },
    #[error("{}:{line}: {problem}", .path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        problem: virt_conf::Problem,
    },
    #[error("{}:{line}: unknown setting {key}{}", .path.display(), suggest(.near))]
    Unknown {
        path: PathBuf,
        line: usize,
        key: String,
        near: Option<&'static str>,
    },
    #[error("{}:{line}: {key} is set already, on line {first}", .path.display())]
    Duplicate {
        path: PathBuf,
        line: usize,
        key: &'static str,
        first: usize,
    },
    #[error("{}:{line}: {key}: {what}", .path.display())]
    Value {
        path: PathBuf,
        line: usize,
        key: &'static str,
        what: String,
    },
}

fn suggest(near: &Option<&'static str>) -> String {
    near.map(|name| format!(" (did you mean {name}?)"))
        .unwrap_or_default()
}
