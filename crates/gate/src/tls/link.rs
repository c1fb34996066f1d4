//! A connection that is plain or inside a secure channel, for as long as a session's first words are
//! exchanged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SecureStream;
use crate::relay::Leg;
use crate::stream::Stream;

/// A connection of either kind.
#[derive(Debug)]
pub enum Link {
    /// What is read and written is what travels.
    Plain(Stream),
    /// TLS is in between.
    Secure(SecureStream<Stream>),
}

impl Link {
    /// Takes the connection out of the runtime, for the relay. Nothing that was received is lost.
    ///
    /// # Errors
    /// When the runtime cannot let go of it.
    pub fn into_leg(self) -> io::Result<Leg> {
        Ok(match self {
            Link::Plain(stream) => stream.into_fd()?.into(),
            Link::Secure(stream) => {
                let (stream, channel) = stream.into_parts();
                Leg::secure(stream.into_fd()?, channel)
            }
        })
    }

    /// The certificates that the peer has shown and that were verified, its own first.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Link::Plain(_) => &[],
            Link::Secure(stream) => stream.peer_certificates(),
        }
    }
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
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_flush(context),
            Link::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Link::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Link::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
