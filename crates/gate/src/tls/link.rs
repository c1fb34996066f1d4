//! A connection that is plain or inside a secure channel of either kind, for as long as a session's first words are
//! exchanged.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SecureStream;
use crate::channel::{Channel, Layered};
use crate::relay::Leg;
use crate::stream::Stream;

/// A connection of either kind.
#[derive(Debug)]
pub enum Link {
    /// What is read and written is what travels.
    Plain(Stream),
    /// TLS is in between.
    Secure(SecureStream<Stream>),
    /// Another channel is in between.
    Layered(Box<Layered<Stream>>),
    /// A handshake has failed: nobody is there to talk to.
    Lost,
}

impl Link {
    /// Makes the handshake as a server. `early` is what was already read. A link that is not plain
    /// has had its handshake.
    ///
    /// # Errors
    /// As for [`accept`](super::accept); the link is then lost.
    pub async fn accept(&mut self, early: &[u8], config: Arc<ServerConfig>) -> io::Result<()> {
        let stream = self.take_plain()?;
        *self = Link::Secure(super::accept(stream, early, config).await?);
        Ok(())
    }

    /// Makes the handshake as a client of the server that has `name`.
    ///
    /// # Errors
    /// As for [`connect`](super::connect); the link is then lost.
    pub async fn connect(
        &mut self,
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    ) -> io::Result<()> {
        let stream = self.take_plain()?;
        *self = Link::Secure(super::connect(stream, name, config).await?);
        Ok(())
    }

    /// Puts a channel on a plain link: from here on what is read is opened and what is written is
    /// sealed.
    ///
    /// # Errors
    /// When the link is not plain, which leaves it as it is.
    pub fn layer(&mut self, channel: impl Channel + 'static) -> io::Result<()> {
        let stream = self.take_plain()?;
        *self = Link::Layered(Box::new(Layered::new(stream, channel)));
        Ok(())
    }

    /// Waits until the peer has left, though what it sent before may not have been read. Cancel safe.
    pub async fn left(&mut self) {
        match self {
            Link::Plain(stream) => stream.left().await,
            Link::Secure(stream) => stream.stream().left().await,
            Link::Layered(stream) => stream.stream().left().await,
            Link::Lost => {}
        }
    }

    fn take_plain(&mut self) -> io::Result<Stream> {
        match std::mem::replace(self, Link::Lost) {
            Link::Plain(stream) => Ok(stream),
            other => {
                *self = other;
                Err(io::Error::other("the link has had its handshake"))
            }
        }
    }

    /// Whether TLS is in between.
    pub fn is_secure(&self) -> bool {
        matches!(self, Link::Secure(_))
    }

    /// Takes the connection out of the runtime, for the relay. Nothing that was received is lost.
    ///
    /// # Errors
    /// When the runtime cannot let go of it, or something was written and not flushed.
    pub fn into_leg(self) -> io::Result<Leg> {
        Ok(match self {
            Link::Plain(stream) => stream.into_fd()?.into(),
            Link::Secure(stream) => {
                let (stream, channel) = stream.into_parts();
                Leg::secure(stream.into_fd()?, channel)
            }
            Link::Layered(layered) => {
                let (stream, channel) = layered.into_parts()?;
                Leg::boxed(stream.into_fd()?, channel)
            }
            Link::Lost => return Err(lost()),
        })
    }

    /// The certificates that the peer has shown and that were verified, its own first.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Link::Plain(_) | Link::Layered(_) | Link::Lost => &[],
            Link::Secure(stream) => stream.peer_certificates(),
        }
    }
}

fn lost() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Link::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
            Link::Layered(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Link::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Link::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
            Link::Layered(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Link::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_flush(context),
            Link::Secure(stream) => Pin::new(stream).poll_flush(context),
            Link::Layered(stream) => Pin::new(&mut **stream).poll_flush(context),
            Link::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Link::Secure(stream) => Pin::new(stream).poll_shutdown(context),
            Link::Layered(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            Link::Lost => Poll::Ready(Err(lost())),
        }
    }
}
