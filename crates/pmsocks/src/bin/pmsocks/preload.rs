//! The environment that has the loader load our library into dynamically linked programs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pmsocks_common::Environment;

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
}

/// The path of the library, as the loader can take it.
pub(crate) fn library() -> Result<PathBuf, PreloadError> {
    loadable(parts::find(LIBRARY)?)
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
    let before = take(environment).filter(|value| !value.is_empty());
    let mut value = library.as_os_str().to_owned();
    if let Some(before) = before {
        value.push(":");
        value.push(without_ours(&before));
    }
    // A colon at the end means nothing, but looks odd to who reads it.
    let value = value
        .as_bytes()
        .strip_suffix(b":")
        .unwrap_or(value.as_bytes());
    environment.push((VARIABLE.into(), OsStr::from_bytes(value).to_owned()));
}

/// Takes the library out, for a program that another pmsocks serves in another way.
pub(crate) fn remove(environment: &mut Environment) {
    if let Some(value) = take(environment) {
        let left = without_ours(&value);
        if !left.is_empty() {
            environment.push((VARIABLE.into(), left));
        }
    }
}

/// Whether the library is to be loaded.
pub(crate) fn is_in(environment: &[(OsString, OsString)]) -> bool {
    let first = environment.iter().find(|(name, _)| name == VARIABLE);
    first.is_some_and(|(_, value)| without_ours(value) != *value)
}

/// Takes the variable out of the environment, where it may stand more than once: the first counts.
fn take(environment: &mut Environment) -> Option<OsString> {
    let first = environment
        .iter()
        .find(|(name, _)| name == VARIABLE)
        .cloned();
    environment.retain(|(name, _)| name != VARIABLE);
    first.map(|(_, value)| value)
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

    fn environment(value: &str) -> Vec<(OsString, OsString)> {
        vec![("A".into(), "1".into()), (VARIABLE.into(), value.into())]
    }

    fn value(environment: &[(OsString, OsString)]) -> Option<&str> {
        let found = environment.iter().find(|(name, _)| name == VARIABLE)?;
        found.1.to_str()
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
            assert_eq!(environment.len(), 2);
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
