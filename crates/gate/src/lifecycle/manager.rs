//! Tells the service manager how the daemon fares, as `sd_notify(3)` describes.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::errno::describe;

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves; also after [`State::Reloading`].
    Ready,
    /// It reads its configuration again, and serves on.
    Reloading,
    /// It was told to end, and does.
    Stopping,
}

/// Tells the manager that started this process, if one waits for it: it names its socket in
/// `NOTIFY_SOCKET`. Where it cannot be told there is a warning in the log; it will think that the
/// daemon never started.
pub fn tell_manager(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, &message(state)) {
        let error = describe(&error);
        tracing::warn!("cannot tell the service manager at NOTIFY_SOCKET: {error}");
    }
}

/// The process may be a child of the one that the manager started.
fn message(state: State) -> String {
    match state {
        State::Ready => format!("READY=1\nMAINPID={}", std::process::id()),
        // The time lets systemd tell which of its requests this answers.
        State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()),
        State::Stopping => "STOPPING=1".into(),
    }
}

fn monotonic_microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A manager that hangs is no reason to hang as well.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let name = format!("@gatehouse-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let receivers = [
            (path.as_os_str(), UnixDatagram::bind(&path).unwrap()),
            (
                OsStr::new(&name),
                UnixDatagram::bind_addr(&abstract_address).unwrap(),
            ),
        ];
        for (socket, receiver) in receivers {
            send(socket, &message(State::Stopping)).unwrap();
            let mut received = [0; 64];
            let length = receiver.recv(&mut received).unwrap();
            assert_eq!(&received[..length], b"STOPPING=1");
        }
        assert!(send(OsStr::new("/no/such/socket"), "").is_err());
    }
}
