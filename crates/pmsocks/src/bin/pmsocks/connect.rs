//! `pmsocks-connect`, the part of pmsocks that makes connections itself, and how it is told what to do.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pmsocks_common::{Environment, Program};
use rustix::io::Errno;

use crate::options::Goal;
use crate::parts::{self, MissingPart};
use crate::preload;

const NAME: &str = "pmsocks-connect";

/// Why it could not be had to do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Missing(#[from] MissingPart),
    #[error("cannot execute {}: {error}", path.display())]
    NotExecutable { path: PathBuf, error: io::Error },
    /// It has said why.
    #[error("the program is not run")]
    NoServers,
}

/// Supervises a program. It comes back only if that fails.
pub(crate) fn supervise(program: Program) -> Result<Infallible, ConnectError> {
    let order = ["--supervise".into(), program.path.into()];
    let order = order.into_iter().chain(program.arguments);
    become_it(order, program.environment)
}

/// Has a connection tried. It comes back only if that fails.
pub(crate) fn check(goal: Goal, environment: Environment) -> Result<Infallible, ConnectError> {
    let order = [
        "--check".into(),
        goal.host.into(),
        goal.port.to_string().into(),
    ];
    become_it(order, environment)
}

fn become_it(
    order: impl IntoIterator<Item = OsString>,
    environment: Environment,
) -> Result<Infallible, ConnectError> {
    let connect = told(order, environment)?;
    let Err(errno) = connect.execute_as_it_is();
    Err(not_executable(connect.path, errno.into()))
}

/// Has the configuration read, and the name server of `SOCKS_NS` asked for all servers, if there is one.
/// The answer is for the library.
pub(crate) fn servers(environment: &Environment) -> Result<String, ConnectError> {
    let connect = told(["--servers".into()], environment.clone())?;
    let mut process = Command::new(&connect.path)
        .args(&connect.arguments[1..])
        .env_clear()
        .envs(connect.environment.pairs())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_executable(connect.path, error))?;
    let mut told = String::new();
    let stdout = process.stdout.take();
    let is_read = stdout.is_some_and(|mut stdout| stdout.read_to_string(&mut told).is_ok());
    // Its status may be lost, if the user has had this process ignore its children.
    let _ = process.wait();
    let told = told.strip_suffix('\n').filter(|_| is_read);
    told.map(str::to_owned).ok_or(ConnectError::NoServers)
}

/// It, with an order. Our library is not for it.
fn told(
    order: impl IntoIterator<Item = OsString>,
    mut environment: Environment,
) -> Result<Program, MissingPart> {
    preload::remove(&mut environment);
    Ok(Program {
        path: parts::find(NAME)?,
        arguments: [NAME.into()].into_iter().chain(order).collect(),
        environment,
    })
}

fn not_executable(path: PathBuf, error: io::Error) -> ConnectError {
    // A shell would run what has no format.
    let error = match Errno::from_io_error(&error) {
        Some(Errno::NOEXEC) => io::Error::other("it is no program"),
        _ => error,
    };
    ConnectError::NotExecutable { path, error }
}
