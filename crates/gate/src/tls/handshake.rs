//! Handshakes, and the stream that carries a session's first words before its bytes go to the relay.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, Connection, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::TlsChannel;

/// A stream inside a secure channel.
#[derive(Debug)]
pub struct SecureStream<S>(Box<TlsStream<S>>);

/// Makes the handshake as a server. `early` is what was already read from the stream.
///
/// # Errors
/// When the client breaks off or breaks the protocol, or one of both refuses the other's certificate:
/// the cause is then a [`rustls::Error`]. The client has been told by then, as far as TLS tells.
pub async fn accept<S>(
    stream: S,
    early: &[u8],
    config: Arc<ServerConfig>,
) -> io::Result<SecureStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut fed = Ok(());
    let feed = |connection: &mut rustls::ServerConnection| {
        let mut rest = early;
        while !rest.is_empty() && fed.is_ok() {
            // A short read is no error, and an error here comes up in the handshake as well.
            fed = connection.read_tls(&mut rest).map(drop);
            if fed.is_ok() && connection.process_new_packets().is_err() {
                break;
            }
        }
    };
    let stream = TlsAcceptor::from(config).accept_with(stream, feed).await?;
    fed?;
    Ok(SecureStream(Box::new(TlsStream::Server(stream))))
}

/// Makes the handshake as a client of the server that has `name`.
///
/// # Errors
/// As for [`accept`].
pub async fn connect<S>(
    stream: S,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<SecureStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(SecureStream(Box::new(TlsStream::Client(stream))))
}

impl<S> SecureStream<S> {
    /// The certificates that the peer has shown and that were verified, its own first; empty if it
    /// has shown none.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        let (_, connection) = self.0.get_ref();
        connection.peer_certificates().unwrap_or_default()
    }

    /// What the records travel on.
    pub fn stream(&self) -> &S {
        self.0.get_ref().0
    }

    /// Takes the stream and the channel apart. Nothing that was received is lost.
    pub fn into_parts(self) -> (S, TlsChannel) {
        let (stream, connection) = match *self.0 {
            TlsStream::Client(stream) => {
                let (stream, connection) = stream.into_inner();
                (stream, Connection::Client(connection))
            }
            TlsStream::Server(stream) => {
                let (stream, connection) = stream.into_inner();
                (stream, Connection::Server(connection))
            }
        };
        (stream, TlsChannel::new(connection))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecureStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}
