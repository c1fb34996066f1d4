//! Executes the program: finds it, decides how its connections are taken over, and sets that up.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pmsocks_common::supervision::is_supervised;
use pmsocks_common::{Environment, Program, ProgramError, complain, name_server};
use rustix::fs::{Stat, stat};
use rustix::io::Errno;
use socks_dial::{BEGINS, HANDED_ON};

use crate::connect::{self, ConnectError};
use crate::executable::{Executable, ExecutableError, Kind, NoLibrary, RawCalls};
use crate::find;
use crate::options::{Call, Goal, Mode};
use crate::preload::{self, PreloadError};
use crate::rights;

/// The variable that says where the configuration is.
const ROUTES: &str = "PCP_SOCKS_CONF";

/// The variable for whose sake what is done is told.
const DEBUG: &str = "SOCKS_DEBUG";

/// Why a program was not executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Preload,
    Supervise,
    /// The program, which is pmsocks too.
    Itself,
}

/// Executes the program, or what supervises it. It comes back only if that fails.
pub(crate) fn run(call: Call) -> Result<Infallible, LaunchError> {
    let environment = Environment::own();
    let path = find::program(&call.program, &environment)?;
    if is_supervised() {
        let program = program(path, call, environment);
        let path = program.path.display();
        tell(
            &program,
            &format_args!("{path} is supervised as this process is"),
        );
        return Ok(program.execute()?);
    }
    let executable = look_at(call.mode, &path)?;
    let mode = call.mode;
    let has_other_name = call.name.is_some();
    let mut program = program(path, call, environment);
    if let Some(how) = gained_by(&executable)? {
        // The library that is in that program calls pmsocks so.
        if has_other_name && preload::is_in(&program.environment) {
            // It goes without, as every program with rights of its own that a program executes.
            return Ok(program.execute()?);
        }
        let path = executable.path;
        return Err(LaunchError::Privileged { path, how });
    }
    let way = choose(mode, &executable)?;
    let (path, kind) = (executable.path.display(), &executable.kind);
    match way {
        Way::Preload => {
            tell(&program, &format_args!("preloading: {path} {kind}"));
            let environment = &mut program.environment;
            let library = preload::library()?;
            // Where the library may not get in, nobody else would find the configuration wrong.
            let is_unknown = *kind == Kind::RawCalls(RawCalls::Unknown);
            if name_server(environment).is_some() || is_unknown {
                hand_on_servers(environment)?;
            }
            hand_on_routes(environment);
            preload::add(environment, &library);
            environment.set(BEGINS, "1");
        }
        Way::Supervise => {
            tell(&program, &format_args!("supervising: {path} {kind}"));
            return Ok(connect::supervise(program)?);
        }
        Way::Itself => tell(
            &program,
            &format_args!("{path} is pmsocks, and sees for itself"),
        ),
    }
    Ok(program.execute()?)
}

/// Has a connection tried, and says which line decides on it. It comes back only if it fails.
pub(crate) fn check(goal: Goal) -> Result<Infallible, LaunchError> {
    if is_supervised() {
        return Err(LaunchError::Supervised);
    }
    Ok(connect::check(goal, Environment::own())?)
}

fn program(path: PathBuf, call: Call, environment: Environment) -> Program {
    let name = call.name.unwrap_or(call.program);
    Program {
        path,
        arguments: [name].into_iter().chain(call.arguments).collect(),
        environment,
    }
}

/// Says what is done with the program, if the user wants to know.
fn tell(program: &Program, what: &fmt::Arguments<'_>) {
    if program.environment.get(DEBUG).is_some() {
        complain(&format!("{what}\n"));
    }
}

/// Looks at the program. An interpreter that is not there is the program's trouble, as in a shell.
fn look_at(mode: Mode, path: &Path) -> Result<Executable, LaunchError> {
    let not_executable = |interpreter: &Path, how| {
        let error = io::Error::other(format!("its interpreter {} {how}", interpreter.display()));
        let path = path.to_owned();
        Err(ProgramError::NotExecutable { path, error }.into())
    };
    let (file, error) = match Executable::look_at(path) {
        Err(ExecutableError::Unreadable { path, error }) => (path, error),
        Err(ExecutableError::NoFile(file)) => return not_executable(&file, "is no regular file"),
        other => return Ok(other?),
    };
    if error.kind() == io::ErrorKind::NotFound && file != path {
        return not_executable(&file, "is not there");
    }
    if mode == Mode::Preload {
        // The user knows.
        return Ok(Executable {
            kind: Kind::RawCalls(RawCalls::Unknown),
            facts: stat(&file).map_err(|errno| rights_unknown(&file, errno))?,
            path: file,
        });
    }
    Err(ExecutableError::Unreadable { path: file, error }.into())
}

fn gained_by(executable: &Executable) -> Result<Option<&'static str>, LaunchError> {
    let Executable { path, facts, .. } = executable;
    rights::gained_by(path, facts).map_err(|errno| rights_unknown(path, errno))
}

fn rights_unknown(path: &Path, errno: Errno) -> LaunchError {
    LaunchError::Rights {
        path: path.to_owned(),
        error: errno.into(),
    }
}

fn choose(mode: Mode, executable: &Executable) -> Result<Way, LaunchError> {
    match (mode, &executable.kind) {
        (Mode::Supervise, _) => Ok(Way::Supervise),
        (_, Kind::Dynamic) => Ok(Way::Preload),
        _ if is_this_program(&executable.facts) => Ok(Way::Itself),
        (Mode::Preload, Kind::NoLibrary(why)) => Err(LaunchError::NoLibrary {
            path: executable.path.clone(),
            why: why.clone(),
        }),
        (Mode::Preload, _) => Ok(Way::Preload),
        (Mode::Auto, _) => Ok(Way::Supervise),
    }
}

fn is_this_program(facts: &Stat) -> bool {
    stat("/proc/self/exe").is_ok_and(|own| (own.st_dev, own.st_ino) == (facts.st_dev, facts.st_ino))
}

/// Has the configuration read, and tells the library what the name server says, if there is one to ask.
fn hand_on_servers(environment: &mut Environment) -> Result<(), ConnectError> {
    let servers = connect::servers(environment)?;
    if !servers.is_empty() {
        environment.set(HANDED_ON, servers);
    }
    Ok(())
}

/// Tells where the configuration is: a path from this folder leads elsewhere for what the program
/// executes in another one.
fn hand_on_routes(environment: &mut Environment) {
    let file = environment.get(ROUTES).map(Path::new);
    let file = file.filter(|file| file.is_relative());
    // An empty one is as good as none.
    if let Some(file) = file.and_then(|file| std::path::absolute(file).ok()) {
        environment.set(ROUTES, file);
    }
}
