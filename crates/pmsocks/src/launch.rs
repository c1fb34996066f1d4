//! Executes the program: finds it, decides how its connections are taken over, and sets that up.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use socks_dial::{HANDED_ON, HandedOn, Settings, report};

use crate::exec;
use crate::executable::{Executable, ExecutableError, Kind, NoLibrary, RawCalls, SHELL};
use crate::options::{Call, Mode};
use crate::preload::{self, PreloadError};
use crate::program::{self, ProgramError};
use crate::rights;
use crate::routes::{Configuration, ConfigurationError};
use crate::supervise::{self, SuperviseError};

/// The variable that says where the configuration is.
const ROUTES: &str = "PCP_SOCKS_CONF";

/// Why a program was not executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    #[error(transparent)]
    Preload(#[from] PreloadError),
    #[error("cannot find out what rights {} gives: {error}", path.display())]
    Rights { path: PathBuf, error: io::Error },
    #[error(
        "{} is {how}: it cannot be run through a SOCKS server, because a program that gets rights \
         takes no library from its user (run it as the user whose rights it gets)",
        path.display()
    )]
    Privileged { path: PathBuf, how: &'static str },
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    #[error("--mode preload: {} {why}, so that no library can be loaded into it (leave --mode away)",
        path.display())]
    NoLibrary { path: PathBuf, why: NoLibrary },
}

impl LaunchError {
    /// As a shell's where the program is to blame.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            LaunchError::Program(error) => error.exit_status(),
            _ => crate::FAILURE,
        }
    }
}

/// What takes connections over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Preload,
    Supervise,
}

/// A program that is about to be executed.
pub(crate) struct Program {
    path: PathBuf,
    /// With its name in front, as the user wrote it.
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// Executes the program. It comes back with the exit status of a supervised one, or if it fails.
pub(crate) fn run(call: Call) -> Result<u8, LaunchError> {
    let configuration = Configuration::load()?;
    let path = program::find(&call.program)?;
    let executable = look_at(call.mode, &path)?;
    let privilege = gained_by(&executable.path)?;
    let environment: Vec<_> = env::vars_os().collect();
    // The library that is in that program calls pmsocks so.
    let is_started_by_a_program = call.name.is_some() && preload::is_in(&environment);
    let name = call.name.unwrap_or(call.program);
    let mut program = Program {
        path,
        arguments: [name].into_iter().chain(call.arguments).collect(),
        environment,
    };
    if let Some(how) = privilege {
        if is_started_by_a_program {
            // It goes without, as every program with rights of its own that a program executes.
            return Err(program.execute().unwrap_err().into());
        }
        let path = executable.path;
        return Err(LaunchError::Privileged { path, how });
    }
    let way = choose(call.mode, &executable)?;
    if configuration.settings.debug {
        tell(&way, &executable);
    }
    match way {
        Way::Preload => {
            hand_on(&mut program.environment, &configuration.settings);
            preload::add(&mut program.environment, &preload::library()?);
            Err(program.execute().unwrap_err().into())
        }
        Way::Supervise => {
            preload::remove(&mut program.environment);
            Ok(supervise::run(&program, configuration)?)
        }
    }
}

fn tell(way: &Way, executable: &Executable) {
    let what = match way {
        Way::Preload => "preloading",
        Way::Supervise => "supervising",
    };
    let path = executable.path.display();
    report(&format_args!("{what}: {path} {}", executable.kind));
}

/// Looks at the program. An interpreter that is not there is the program's trouble, as in a shell.
fn look_at(mode: Mode, path: &Path) -> Result<Executable, LaunchError> {
    let (file, error) = match Executable::look_at(path) {
        Err(ExecutableError::Unreadable { path, error }) => (path, error),
        other => return Ok(other?),
    };
    if error.kind() == io::ErrorKind::NotFound && file != path {
        let text = format!("its interpreter {} is not there", file.display());
        let error = io::Error::new(error.kind(), text);
        let path = path.to_owned();
        return Err(ProgramError::NotExecutable { path, error }.into());
    }
    if mode == Mode::Preload {
        // The user knows.
        return Ok(Executable {
            path: file,
            kind: Kind::RawCalls(RawCalls::Unknown),
        });
    }
    Err(ExecutableError::Unreadable { path: file, error }.into())
}

fn gained_by(path: &Path) -> Result<Option<&'static str>, LaunchError> {
    rights::gained_by(path).map_err(|error| LaunchError::Rights {
        path: path.to_owned(),
        error,
    })
}

fn choose(mode: Mode, executable: &Executable) -> Result<Way, LaunchError> {
    match (mode, &executable.kind) {
        (Mode::Preload, Kind::NoLibrary(why)) => Err(LaunchError::NoLibrary {
            path: executable.path.clone(),
            why: why.clone(),
        }),
        (Mode::Preload, _) | (Mode::Auto, Kind::Dynamic) => Ok(Way::Preload),
        (Mode::Supervise, _) | (Mode::Auto, _) => Ok(Way::Supervise),
    }
}

/// Tells the program what the name server of `SOCKS_NS` said, and where the configuration is: a path
/// from this folder leads elsewhere for what the program executes in another one.
fn hand_on(environment: &mut Vec<(OsString, OsString)>, settings: &Settings) {
    if settings.handed_on != HandedOn::default() {
        set(environment, HANDED_ON, settings.handed_on.to_string());
    }
    let file = &settings.routes_file;
    if let Some(file) = std::path::absolute(file)
        .ok()
        .filter(|_| file.is_relative())
    {
        set(environment, ROUTES, file);
    }
}

fn set(environment: &mut Vec<(OsString, OsString)>, variable: &str, value: impl Into<OsString>) {
    environment.retain(|(name, _)| name != variable);
    environment.push((variable.into(), value.into()));
}

impl Program {
    /// Replaces this process with the program. It comes back only if it fails.
    pub(crate) fn execute(&self) -> Result<Infallible, ProgramError> {
        let environment: Vec<CString> = self
            .environment
            .iter()
            .filter_map(|(name, value)| {
                let mut entry = name.clone();
                entry.push("=");
                entry.push(value);
                c_string(entry)
            })
            .collect();
        let arguments: Vec<CString> = self
            .arguments
            .iter()
            .cloned()
            .filter_map(c_string)
            .collect();
        let failure = execute(&self.path, &arguments, &environment);
        if failure != Errno::NOEXEC {
            return Err(ProgramError::from_exec(&self.path, failure));
        }
        // A text without `#!` is a script of the shell's.
        let shell = Path::new(SHELL);
        let own = [SHELL.into(), self.path.clone().into_os_string()];
        let arguments: Vec<CString> = own
            .into_iter()
            .filter_map(c_string)
            .chain(arguments.into_iter().skip(1))
            .collect();
        let failure = execute(shell, &arguments, &environment);
        Err(ProgramError::from_exec(shell, failure))
    }
}

fn execute(path: &Path, arguments: &[CString], environment: &[CString]) -> Errno {
    let Some(path) = c_string(path.as_os_str().to_owned()) else {
        return Errno::INVAL;
    };
    let Err(errno) = exec::execute(&path, arguments, environment);
    errno
}

/// What came from the system as an argument or a variable has no NUL in it.
fn c_string(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}
