//! The calls of the library with Rust's types: what may come, and what the numbers mean.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;

use pcp_proto::Status;
use pmda_root::{
    AnyEnded, Channel, Container, Error, IpcType, RootConnection, Started, default_socket,
};

use crate::kept;

/// `EINVAL`: an argument makes no sense.
pub(crate) const INVALID: Status = Status(-22);
/// `E2BIG`: something is longer than its room.
pub(crate) const TOO_LONG: Status = Status(-7);
/// `ENOTCONN`: there is no connection.
pub(crate) const NOT_CONNECTED: Status = Status(-107);

/// Numbers to be handed to C, or the status that stands for an error.
pub(crate) type Outcome<T> = Result<T, Status>;

/// A container as C programs name it: text and length, or no text and a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    Text(&'a [u8]),
    Process(i32),
}

impl<'a> From<Named<'a>> for Container<'a> {
    fn from(named: Named<'a>) -> Container<'a> {
        match named {
            Named::Text(text) => Container::Name(OsStr::from_bytes(text)),
            Named::Process(pid) => Container::Pid(pid),
        }
    }
}

fn channel(socket: BorrowedFd<'_>) -> Channel<'_> {
    Channel::new(socket, kept::version(socket.as_raw_fd()))
}

pub(crate) fn connect(path: Option<&[u8]>) -> Outcome<i32> {
    let path = match path {
        Some(path) => OsStr::from_bytes(path).into(),
        None => default_socket().map_err(Status::from)?,
    };
    let connection = RootConnection::open_at(path).map_err(Status::from)?;
    kept::begin(connection.as_fd().as_raw_fd(), connection.version());
    Ok(connection.into_socket().into_raw_fd())
}

pub(crate) fn shut_down(socket: BorrowedFd<'_>) {
    kept::end(socket.as_raw_fd());
    channel(socket).shut_down();
}

pub(crate) fn host_name(socket: BorrowedFd<'_>, container: Named<'_>) -> Outcome<Vec<u8>> {
    let name = channel(socket).container_host_name(container);
    name.map(|name| name.as_bytes().to_vec())
        .map_err(Status::from)
}

pub(crate) fn cgroup_name(socket: BorrowedFd<'_>, container: Named<'_>) -> Outcome<Vec<u8>> {
    let name = channel(socket).container_cgroup_name(container);
    name.map(|name| name.as_bytes().to_vec())
        .map_err(Status::from)
}

pub(crate) fn process_id(socket: BorrowedFd<'_>, container: Named<'_>) -> Outcome<i32> {
    channel(socket)
        .container_process_id(container)
        .map_err(Status::from)
}

pub(crate) fn start(
    socket: BorrowedFd<'_>,
    ipc: i32,
    label: &[u8],
    arguments: &[u8],
) -> Outcome<Started> {
    let ipc = IpcType::from_number(ipc).ok_or(INVALID)?;
    let (label, arguments) = (OsStr::from_bytes(label), OsStr::from_bytes(arguments));
    channel(socket)
        .start(ipc, label, arguments)
        .map_err(Status::from)
}

/// The process that has ended, and its status.
pub(crate) fn wait(socket: BorrowedFd<'_>, pid: i32) -> Outcome<(i32, i32)> {
    let mut ended = kept::take_ended(socket.as_raw_fd());
    let outcome = if pid > 0 {
        let outcome = channel(socket).wait(pid, None, &mut ended);
        // Without a limit it ends with the process.
        outcome
            .and_then(|process| process.ok_or(Error::NoChild(pid)))
            .map(AnyEnded::One)
    } else {
        channel(socket).ended(&mut ended)
    };
    kept::put_ended(socket.as_raw_fd(), ended);
    Ok(match outcome.map_err(Status::from)? {
        AnyEnded::One(process) => (process.pid, process.code),
        AnyEnded::NoneYet => (0, 0),
        AnyEnded::NoProcesses => (-1, 0),
    })
}

pub(crate) fn kill(socket: BorrowedFd<'_>, pid: i32) -> Outcome<()> {
    channel(socket).kill(pid).map_err(Status::from)
}
