//! Bytes and descriptors over the socket, with a deadline for all of it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, send, socket_with,
};

use crate::Error;

/// The most descriptors that come with an answer: one to write to, one to read from.
const MAX_DESCRIPTORS: usize = 2;

/// Nobody waits for longer than a day, and clocks and system calls have their limits.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when something may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    within: Duration,
}

impl Deadline {
    pub(crate) fn after(within: Duration) -> Deadline {
        let within = within.min(LONGEST);
        Deadline {
            at: Instant::now() + within,
            within,
        }
    }

    fn left(&self) -> Result<Duration, Error> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Timeout(self.within));
        }
        Ok(left)
    }

    /// Waits until the socket is ready, or has ended.
    fn wait(&self, socket: BorrowedFd<'_>, events: PollFlags) -> Result<(), Error> {
        loop {
            let left = Timespec::try_from(self.left()?).map_err(|_| Errno::INVAL);
            let left = left.map_err(io::Error::from)?;
            match poll(&mut [PollFd::from_borrowed_fd(socket, events)], Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(Error::Io(errno.into())),
            }
        }
    }
}

/// A socket that is connected to `path`. A server that does not accept is a timeout.
pub(crate) fn connect_to(path: &Path, deadline: &Deadline) -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| Error::Connect {
        path: path.to_owned(),
        source: errno.into(),
    };
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let kind = SocketType::STREAM;
    let socket =
        socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
    loop {
        // A connect to a server whose queue is full waits as long as a send would.
        let left = deadline.left()?;
        set_socket_timeout(&socket, Timeout::Send, Some(left)).map_err(failed)?;
        match connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    set_socket_timeout(&socket, Timeout::Send, None).map_err(failed)?;
    Ok(socket)
}

/// Sends all of `bytes`. A server that has gone is an error, not a signal.
pub(crate) fn send_all(
    socket: BorrowedFd<'_>,
    mut bytes: &[u8],
    deadline: &Deadline,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        deadline.wait(socket, PollFlags::OUT)?;
        match send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(())
}

/// Appends 1 to `count` bytes to `bytes`, and the descriptors that came along to `descriptors`.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    count: usize,
    bytes: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
    deadline: &Deadline,
) -> Result<(), Error> {
    let start = bytes.len();
    bytes.resize(start + count, 0);
    let received = loop {
        deadline.wait(socket, PollFlags::IN)?;
        let part = bytes.get_mut(start..).unwrap_or_default();
        match receive_now(socket, part, descriptors) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(failed(errno)),
            Ok(received) => break received,
        }
    };
    bytes.truncate(start + received);
    if received == 0 {
        return Err(Error::Closed);
    }
    Ok(())
}

fn failed(errno: Errno) -> Error {
    match errno {
        Errno::PIPE | Errno::CONNRESET => Error::Closed,
        errno => Error::Io(errno.into()),
    }
}

fn receive_now(
    socket: BorrowedFd<'_>,
    part: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(part)], &mut control, flags)?;
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = ancillary {
            descriptors.extend(rights);
        }
    }
    // The system has closed those that there was no room for.
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::BADMSG);
    }
    Ok(message.bytes)
}
