//! Sockets that a service manager opened before it started the daemon (socket activation), as
//! `sd_listen_fds(3)` describes.

use std::io;

use listenfd::ListenFd;
use socket2::Socket;

use crate::errno::describe;
use crate::listen::{Bound, adopt};

/// The first descriptor that a manager hands over.
const FIRST: usize = 3;

/// More than any unit has.
const MOST: usize = 256;

/// Why a socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// `LISTEN_FDS` is no sensible number.
    #[error("LISTEN_FDS={0}: expected the number of sockets that are handed over, up to {MOST}")]
    Count(String),
    /// It is something else than a stream socket that listens.
    #[error(
        "cannot serve clients on descriptor {descriptor}, which the service manager handed over: \
         {} (only TCP and unix stream sockets can be used: ListenStream= in a systemd socket)",
        describe(.error)
    )]
    Unusable {
        /// Its number.
        descriptor: usize,
        /// What is wrong with it.
        error: io::Error,
    },
}

/// Takes the sockets that the service manager has handed over to this very process; there are none
/// unless `LISTEN_PID` names it. The variables that tell of them are removed, so there must be one
/// thread only.
///
/// # Errors
/// [`HandoverError`] when there is anything among them that is not a TCP or unix stream socket that
/// listens.
pub fn take_sockets() -> Result<Vec<Bound>, HandoverError> {
    let named = take_named_sockets()?;
    Ok(named.into_iter().map(|(_, socket)| socket).collect())
}

/// As [`take_sockets`], with the name of each (`LISTEN_FDNAMES`): that of its socket unit unless
/// the unit sets another. It is empty where the manager tells none.
///
/// # Errors
/// As for [`take_sockets`].
pub fn take_named_sockets() -> Result<Vec<(String, Bound)>, HandoverError> {
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let Some(count) = std::env::var_os("LISTEN_FDS").filter(|_| ours) else {
        return Ok(Vec::new());
    };
    let number = count.to_str().and_then(|count| count.parse().ok());
    if number.is_none_or(|number: usize| number > MOST) {
        return Err(HandoverError::Count(count.to_string_lossy().into()));
    }
    // Read before the variables are removed.
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').chain(std::iter::repeat(""));
    let mut sockets = ListenFd::from_env();
    (0..sockets.len())
        .zip(names)
        .map(|(index, name)| match take(&mut sockets, index) {
            Ok(socket) => Ok((name.to_owned(), socket)),
            Err(error) => Err(HandoverError::Unusable {
                descriptor: FIRST + index,
                error,
            }),
        })
        .collect()
}

fn take(sockets: &mut ListenFd, index: usize) -> io::Result<Bound> {
    let unix = sockets.take_unix_listener(index).ok().flatten();
    let socket = match unix.map(Socket::from) {
        Some(unix) => unix,
        None => match sockets.take_tcp_listener(index) {
            Ok(Some(tcp)) => tcp.into(),
            _ => return Err(io::Error::other("it is another kind of file or socket")),
        },
    };
    adopt(socket)
}
