//! A connected stream on either kind of socket, and who is at its other end.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Waits until the peer has closed its direction, or the connection has failed, though what it
    /// sent before may not have been read. Cancel safe.
    pub async fn left(&self) {
        // Nothing urgent is ever asked for, and what comes with this interest is the peer's end.
        let end = Interest::PRIORITY;
        let _ = match self {
            Stream::Tcp(stream) => stream.ready(end).await,
            Stream::Unix(stream) => stream.ready(end).await,
        };
    }

    /// Takes the socket out of the runtime, for the relay.
    ///
    /// # Errors
    /// When the runtime cannot let go of it.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Stream::Tcp(stream) => stream.into_std()?.into(),
            Stream::Unix(stream) => stream.into_std()?.into(),
        })
    }
}

/// Who is at the other end of a connection that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A process of this machine, as the kernel tells.
    Unix {
        /// The user.
        uid: u32,
        /// The process, where the kernel knows it.
        pid: Option<i32>,
    },
}

/// What stands for one and the same client when resources are shared out: connections of one host,
/// or of one local user, count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A host.
    Host(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl Peer {
    /// Whether it is on this machine, as far as the connection tells: on a unix socket, or with a
    /// loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Peer::Unix { .. } => true,
            Peer::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    /// Whom to count this peer with.
    pub fn origin(&self) -> Origin {
        match self {
            Peer::Tcp(address) => Origin::Host(address.ip().to_canonical()),
            Peer::Unix { uid, .. } => Origin::User(*uid),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix {
                uid,
                pid: Some(pid),
            } => write!(f, "uid {uid} pid {pid}"),
            Peer::Unix { uid, pid: None } => write!(f, "uid {uid}"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
