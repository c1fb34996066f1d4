//! Executes the program: finds it, decides how its connections are taken over, and sets that up.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pmsocks_common::supervision::is_supervised;
use pmsocks_common::{Configuration, Program, ProgramError};
use socks_dial::{HANDED_ON, HandedOn, Settings, report};

use crate::configuration::{self, ConfigurationError};
use crate::executable::{Executable, ExecutableError, Kind, NoLibrary, RawCalls};
use crate::find;
use crate::options::{Call, Goal, Mode};
use crate::parts::{self, MissingPart};
use crate::preload::{self, PreloadError};
use crate::rights;

/// The variable that says where the configuration is.
const ROUTES: &str = "PCP_SOCKS_CONF";

/// The part that makes connections itself, and how it is told what to do.
const CONNECT: &str = "pmsocks-connect";
const SUPERVISE: &str = "--supervise";
const CHECK: &str = "--check";

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
    Part(#[from] MissingPart),
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
    #[error(
        "--check: this process is supervised, so that all its connections go the way of the \
         program that pmsocks has begun (run it outside of that)"
    )]
    Supervised,
    #[error("--mode preload: {} {why}, so that no library can be loaded into it (leave --mode away)",
        path.display())]
    NoLibrary { path: PathBuf, why: NoLibrary },
}

impl LaunchError {
    /// As a shell's where the program is to blame.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            LaunchError::Program(error) => error.exit_status(),
            _ => pmsocks_common::FAILURE,
        }
    }
}

/// What takes connections over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Preload,
    Supervise,
}

/// Executes the program, or what supervises it. It comes back only if that fails.
pub(crate) fn run(call: Call) -> LaunchError {
    match prepare(call) {
        Ok(program) => program.execute().unwrap_err().into(),
        Err(error) => error,
    }
}

/// What is to be executed, and with what.
fn prepare(call: Call) -> Result<Program, LaunchError> {
    let configuration = configuration::load()?;
    let path = find::program(&call.program)?;
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
    let Configuration { settings, routes } = &configuration;
    if is_supervised() {
        if settings.debug {
            let path = executable.path.display();
            report(&format_args!("{path} is supervised as this process is"));
        }
        return Ok(program);
    }
    if let Some(how) = privilege {
        if is_started_by_a_program {
            // It goes without, as every program with rights of its own that a program executes.
            return Ok(program);
        }
        let path = executable.path;
        return Err(LaunchError::Privileged { path, how });
    }
    let way = choose(call.mode, &executable)?;
    if settings.debug {
        if let Some(untrusted) = routes.commands_off() {
            let file = settings.routes_file.display();
            report(&format_args!(
                "{file}: shell commands are not run: {untrusted}"
            ));
        }
        tell(&way, &executable);
    }
    match way {
        Way::Preload => {
            hand_on_servers(&mut program.environment, settings);
            hand_on_routes(&mut program.environment, settings);
            preload::add(&mut program.environment, &preload::library()?);
            Ok(program)
        }
        Way::Supervise => {
            let arguments = [SUPERVISE.into(), program.path.into()];
            let arguments = arguments.into_iter().chain(program.arguments);
            connect(arguments, program.environment, settings)
        }
    }
}

/// Has a connection tried, and says which line decides on it. It comes back only if it fails.
pub(crate) fn check(goal: Goal) -> LaunchError {
    let prepare = || {
        if is_supervised() {
            return Err(LaunchError::Supervised);
        }
        let configuration = configuration::load()?;
        let arguments = [CHECK.into(), goal.host.into(), goal.port.to_string().into()];
        let environment = env::vars_os().collect();
        connect(arguments, environment, &configuration.settings)
    };
    match prepare() {
        Ok(program) => program.execute().unwrap_err().into(),
        Err(error) => error,
    }
}

/// The program that makes connections itself.
fn connect(
    arguments: impl IntoIterator<Item = OsString>,
    mut environment: Vec<(OsString, OsString)>,
    settings: &Settings,
) -> Result<Program, LaunchError> {
    hand_on_servers(&mut environment, settings);
    preload::remove(&mut environment);
    let path = parts::find(CONNECT)?;
    Ok(Program {
        arguments: [CONNECT.into()].into_iter().chain(arguments).collect(),
        path,
        environment,
    })
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
        // It sees for itself to what it is to run.
        (_, Kind::NoLibrary(_)) if is_this_program(&executable.path) => Ok(Way::Preload),
        (Mode::Preload, Kind::NoLibrary(why)) => Err(LaunchError::NoLibrary {
            path: executable.path.clone(),
            why: why.clone(),
        }),
        (Mode::Preload, _) | (Mode::Auto, Kind::Dynamic) => Ok(Way::Preload),
        (Mode::Supervise, _) | (Mode::Auto, _) => Ok(Way::Supervise),
    }
}

fn is_this_program(path: &Path) -> bool {
    let identity = |facts: std::fs::Metadata| (facts.dev(), facts.ino());
    let own = std::fs::metadata("/proc/self/exe").map(identity);
    own.is_ok_and(|own| {
        std::fs::metadata(path)
            .map(identity)
            .is_ok_and(|it| it == own)
    })
}

/// Tells what the name server of `SOCKS_NS` said.
fn hand_on_servers(environment: &mut Vec<(OsString, OsString)>, settings: &Settings) {
    if settings.handed_on != HandedOn::default() {
        set(environment, HANDED_ON, settings.handed_on.to_string());
    }
}

/// Tells where the configuration is: a path from this folder leads elsewhere for what the program
/// executes in another one.
fn hand_on_routes(environment: &mut Vec<(OsString, OsString)>, settings: &Settings) {
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
