//! The first line of a script: which program runs it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use pmsocks_common::Environment;

use crate::find;

/// How much of a file the kernel looks at.
pub(crate) const HEAD: usize = 256;

/// The interpreter that the first line names, or `None` if it is not that of a script. `env` stands for
/// the program that it would find.
pub(crate) fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (path, argument) = line.split_at(end.unwrap_or(line.len()));
    if path.is_empty() {
        return None;
    }
    let path = PathBuf::from(OsStr::from_bytes(path));
    if path.file_name() == Some(OsStr::new("env"))
        && let Some(found) = found_by_env(argument.trim_ascii())
    {
        return Some(found);
    }
    Some(path)
}

/// What `env` would execute: the first word that is neither an option nor a variable.
fn found_by_env(arguments: &[u8]) -> Option<PathBuf> {
    let mut words = arguments
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    find::program(OsStr::from_bytes(name), &Environment::own()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let named = |head: &[u8]| interpreter(head).map(PathBuf::into_os_string);
        assert_eq!(named(b"#!/bin/sh\necho").unwrap(), "/bin/sh");
        assert_eq!(named(b"#! /bin/sh -e\n").unwrap(), "/bin/sh");
        assert_eq!(named(b"#!/usr/bin/awk -f").unwrap(), "/usr/bin/awk");
        assert_eq!(named(b"#!\n"), None);
        assert_eq!(named(b"echo\n"), None);
        assert_eq!(named(b"\x7fELF"), None);
    }

    #[test]
    fn env_is_seen_through() {
        let shell = find::program(OsStr::new("sh"), &Environment::own()).unwrap();
        for head in [
            &b"#!/usr/bin/env sh\n"[..],
            b"#!/usr/bin/env -S A=1 sh -e\n",
            b"#! /bin/env  sh",
        ] {
            assert_eq!(interpreter(head).unwrap(), shell);
        }
        let env = interpreter(b"#!/usr/bin/env no-such-program-anywhere\n").unwrap();
        assert_eq!(env.as_os_str(), "/usr/bin/env");
    }
}
