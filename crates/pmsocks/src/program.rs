//! A program that is about to be executed, and why it can't be, as a shell puts it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::environment::Environment;
use crate::exec;

/// Who runs a file that is neither a program nor begins with `#!`: a shell, as with execvp(3).
pub const SHELL: &str = "/bin/sh";

/// A program that is about to be executed.
#[derive(Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// With its name in front, as the user wrote it.
    pub arguments: Vec<OsString>,
    /// What it gets of variables.
    pub environment: Environment,
}

/// Why a program can't be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no such file.
    #[error("{}: not found", .0.display())]
    NotFound(OsString),
    /// There is one, and the system does not execute it.
    #[error("{}: cannot execute: {error}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl ProgramError {
    /// What a shell's exit status would be.
    pub fn exit_status(&self) -> u8 {
        match self {
            ProgramError::NotFound(_) => 127,
            ProgramError::NotExecutable { .. } => 126,
        }
    }

    /// Puts what execve(2) answered the way a shell does.
    pub fn from_exec(path: &Path, error: Errno) -> ProgramError {
        match error {
            // With the file there, it is the interpreter that is missing.
            Errno::NOENT | Errno::NOTDIR if !path.exists() => {
                ProgramError::NotFound(path.as_os_str().to_owned())
            }
            _ => ProgramError::NotExecutable {
                path: path.to_owned(),
                error: error.into(),
            },
        }
    }
}

impl Program {
    /// Replaces this process with the program. It comes back only if it fails.
    ///
    /// # Errors
    /// What execve(2) answered.
    pub fn execute(&self) -> Result<Infallible, ProgramError> {
        let Err(failure) = self.execute_as_it_is();
        if failure != Errno::NOEXEC {
            return Err(ProgramError::from_exec(&self.path, failure));
        }
        // A text without `#!` is a script of the shell's.
        let shell = Path::new(SHELL);
        let own = [shell.as_os_str(), self.path.as_os_str()];
        let rest = self.arguments.iter().skip(1).map(OsString::as_os_str);
        let failure = self.execute_with(shell, own.into_iter().chain(rest));
        Err(ProgramError::from_exec(shell, failure))
    }

    /// The same, without a shell for what the system does not execute.
    ///
    /// # Errors
    /// What execve(2) answered.
    pub fn execute_as_it_is(&self) -> Result<Infallible, Errno> {
        let arguments = self.arguments.iter().map(OsString::as_os_str);
        Err(self.execute_with(&self.path, arguments))
    }

    fn execute_with<'a>(&self, path: &Path, arguments: impl Iterator<Item = &'a OsStr>) -> Errno {
        let terminated = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno::INVAL);
        let execute = || {
            let path = terminated(path.as_os_str())?;
            let arguments: Vec<_> = arguments.map(terminated).collect::<Result<_, _>>()?;
            exec::execute(&path, &arguments, &self.environment)
        };
        let Err(errno) = execute();
        errno
    }
}
