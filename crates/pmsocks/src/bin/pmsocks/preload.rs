//! The environment that has the loader load our library into dynamically linked programs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pmsocks_common::Environment;
use rustix::fs::{Access, access};

use crate::parts::{self, MissingPart};

const LIBRARY: &str = "libpmsocks_preload.so";
const VARIABLE: &str = "LD_PRELOAD";

/// Why the library can't be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreloadError {
    #[error(transparent)]
    Missing(#[from] MissingPart),
    #[error("the loader cannot load {}: a blank, ':' or '$' in a path means something else to it \
             (move it elsewhere)", .0.display())]
    OddPath(PathBuf),
    #[error("the loader cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
}

/// The path of the library, as the loader can take it. What the loader cannot read it leaves away, and
/// the program would go direct.
pub(crate) fn library() -> Result<PathBuf, PreloadError> {
    let path = loadable(parts::find(LIBRARY)?)?;
    match access(&path, Access::READ_OK) {
        Ok(()) => Ok(path),
        Err(errno) => Err(PreloadError::Unreadable {
            path,
            error: errno.into(),
        }),
    }
}

fn loadable(path: PathBuf) -> Result<PathBuf, PreloadError> {
    let odd = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b':' | b'$');
    if path.as_os_str().as_bytes().iter().any(odd) {
        return Err(PreloadError::OddPath(path));
    }
    Ok(path)
}

/// Puts the library before what is to be preloaded already.
pub(crate) fn add(environment: &mut Environment, library: &Path) {
    let mut value = library.as_os_str().to_owned();
    let others = environment.get(VARIABLE).map(without_ours);
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        value.push(":");
        value.push(others);
    }
    environment.set(VARIABLE, value);
}

/// Takes the library out, for a program that another pmsocks serves in another way.
pub(crate) fn remove(environment: &mut Environment) {
    match environment.get(VARIABLE).map(without_ours) {
        Some(others) if !others.is_empty() => environment.set(VARIABLE, others),
        _ => environment.remove(VARIABLE),
    }
}

/// Whether the library is to be loaded.
pub(crate) fn is_in(environment: &Environment) -> bool {
    let value = environment.get(VARIABLE);
    value.is_some_and(|value| without_ours(value) != *value)
}

/// What is to be preloaded besides our library, as it stands.
fn without_ours(value: &OsStr) -> OsString {
    let is_ours = |path: &&[u8]| Path::new(OsStr::from_bytes(path)).ends_with(LIBRARY);
    let separator = |byte: &u8| matches!(byte, b' ' | b':');
    let bytes = value.as_bytes();
    if !bytes.split(separator).any(|path| is_ours(&path)) {
        return value.to_owned();
    }
    let others = bytes.split(separator).filter(|path| !is_ours(path));
    OsString::from_vec(others.collect::<Vec<_>>().join(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(value: &str) -> Environment {
        let mut environment = Environment::default();
        environment.set("A", "1");
        environment.set(VARIABLE, value);
        environment
    }

    fn value(environment: &Environment) -> Option<&str> {
        environment.get(VARIABLE)?.to_str()
    }

    const OURS: &str = "/usr/lib/gatehouse/libpmsocks_preload.so";

    #[test]
    fn the_library_comes_before_what_is_there() {
        for (before, after) in [
            ("", OURS.to_owned()),
            ("/lib/a.so b.so", format!("{OURS}:/lib/a.so b.so")),
            ("/old/libpmsocks_preload.so", OURS.to_owned()),
            (
                "a.so:/old/libpmsocks_preload.so b.so",
                format!("{OURS}:a.so:b.so"),
            ),
        ] {
            let mut environment = environment(before);
            add(&mut environment, Path::new(OURS));
            assert_eq!(value(&environment), Some(after.as_str()), "{before:?}");
            assert_eq!(environment.pairs().count(), 2);
        }
    }

    #[test]
    fn the_library_is_taken_out_and_others_stay() {
        for (before, after) in [
            (OURS, None),
            ("a.so b.so", Some("a.so b.so")),
            ("/old/libpmsocks_preload.so:a.so", Some("a.so")),
        ] {
            let mut environment = environment(before);
            assert_eq!(is_in(&environment), Some(before) != after);
            remove(&mut environment);
            assert_eq!(value(&environment), after, "{before:?}");
            assert!(!is_in(&environment));
        }
    }

    #[test]
    fn a_path_that_the_loader_would_misread_is_refused() {
        for name in ["/a b/c", "/a:b/c", "/a$LIB/c"] {
            let error = loadable(name.into()).unwrap_err();
            assert!(matches!(error, PreloadError::OddPath(_)), "{error}");
        }
    }
}
