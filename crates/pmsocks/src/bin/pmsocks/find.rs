//! Finds the program as a shell does.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pmsocks_common::{Environment, ProgramError};
use rustix::fs::{Access, FileType, Stat, access};
use rustix::io::Errno;

/// Where programs are looked for when the environment has no PATH, as execvp(3) does.
const USUAL_FOLDERS: &str = "/bin:/usr/bin";

/// Finds the program: a name with a slash is its path, every other is looked for in PATH.
pub(crate) fn program(name: &OsStr, environment: &Environment) -> Result<PathBuf, ProgramError> {
    let folders = environment.get("PATH");
    find_in(name, folders.unwrap_or(OsStr::new(USUAL_FOLDERS)))
}

fn find_in(name: &OsStr, folders: &OsStr) -> Result<PathBuf, ProgramError> {
    if name.is_empty() {
        return Err(ProgramError::NotFound(name.to_owned()));
    }
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match rustix::fs::stat(&path).and_then(|facts| may_execute(&path, &facts)) {
            Ok(()) => Ok(path),
            Err(error) => Err(ProgramError::from_exec(&path, error)),
        };
    }
    let mut obstacle = None;
    for folder in env::split_paths(folders) {
        // An empty entry stands for the current folder.
        let path = Path::new(".").join(folder).join(name);
        // What is in a folder that is closed to the user is not there.
        let Ok(facts) = rustix::fs::stat(&path) else {
            continue;
        };
        match may_execute(&path, &facts) {
            Ok(()) => return Ok(path),
            Err(error) => obstacle = obstacle.or(Some((path, error))),
        }
    }
    Err(match obstacle {
        Some((path, error)) => ProgramError::from_exec(&path, error),
        None => ProgramError::NotFound(name.to_owned()),
    })
}

fn may_execute(path: &Path, facts: &Stat) -> Result<(), Errno> {
    match FileType::from_raw_mode(facts.st_mode) {
        FileType::RegularFile => access(path, Access::EXEC_OK),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::ACCESS),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder_with(name: &str, mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn joined(folders: &[&Path]) -> OsString {
        env::join_paths(folders).unwrap()
    }

    #[test]
    fn the_first_executable_in_path_is_it() {
        let text = folder_with("tool", 0o644);
        let first = folder_with("tool", 0o755);
        let second = folder_with("tool", 0o755);
        let folders = joined(&[text.path(), first.path(), second.path()]);
        let found = find_in(OsStr::new("tool"), &folders).unwrap();
        assert_eq!(found, first.path().join("tool"));
    }

    #[test]
    fn a_missing_program_is_127_and_one_that_cannot_run_126() {
        let text = folder_with("tool", 0o644);
        let folders = joined(&[text.path()]);
        let status = |name: &OsStr| find_in(name, &folders).unwrap_err().exit_status();
        assert_eq!(status(OsStr::new("nothing")), 127);
        assert_eq!(status(OsStr::new("")), 127);
        assert_eq!(status(text.path().join("nothing").as_os_str()), 127);
        assert_eq!(status(OsStr::new("tool")), 126);
        assert_eq!(status(text.path().as_os_str()), 126);
    }
}
