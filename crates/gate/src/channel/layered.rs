//! A stream under a channel, for as long as a session's first words are exchanged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Channel, MAX_INSIDE, Opened};

/// The most bytes that are read or sealed in one go.
const PIECE: usize = 16 * 1024;

/// A stream on which everything is sealed.
#[derive(Debug)]
pub struct Layered<S> {
    stream: S,
    channel: Box<dyn Channel>,
    /// What came with the handshake may still be inside the channel.
    fresh: bool,
    /// Nothing more comes.
    ended: bool,
    /// The peer has been told that nothing more comes.
    closing: bool,
    /// Room for what is opened, how much of it was, and how much of that was read.
    plain: Vec<u8>,
    opened: usize,
    read: usize,
    /// What was sealed, and how much of it was sent.
    sealed: Vec<u8>,
    sent: usize,
}

impl<S> Layered<S> {
    /// Puts a channel on a stream.
    pub fn new(stream: S, channel: impl Channel + 'static) -> Layered<S> {
        Layered {
            stream,
            channel: Box::new(channel),
            fresh: true,
            ended: false,
            closing: false,
            plain: Vec::new(),
            opened: 0,
            read: 0,
            sealed: Vec::new(),
            sent: 0,
        }
    }

    /// Takes the stream and the channel apart. What was received and not read comes out of the
    /// channel first.
    ///
    /// # Errors
    /// When something that was written has not been flushed.
    pub fn into_parts(self) -> io::Result<(S, Box<dyn Channel>)> {
        if self.sent < self.sealed.len() {
            return Err(io::Error::other("what was written has not been sent"));
        }
        let unread = self.unread();
        let channel = if unread.is_empty() {
            self.channel
        } else {
            let unread = unread.to_vec();
            let channel = self.channel;
            Box::new(Resumed { unread, channel })
        };
        Ok((self.stream, channel))
    }

    /// What everything travels on.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    fn unread(&self) -> &[u8] {
        self.plain.get(self.read..self.opened).unwrap_or_default()
    }

    /// Opens what was received, when everything before was read.
    fn open(&mut self, received: &[u8]) -> io::Result<()> {
        (self.opened, self.read) = (0, 0);
        self.plain.resize(PIECE + MAX_INSIDE, 0);
        let opened = self.channel.open(received, &mut self.plain)?;
        (self.opened, self.ended) = (opened.len, opened.closed);
        if self.channel.has_answer() {
            self.channel.take_answer(&mut self.sealed)?;
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Layered<S> {
    /// Sends what was sealed.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.sealed.get(self.sent..) {
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.sealed.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads until something was opened or the stream has ended.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) {
            self.open(&[])?;
        }
        while self.unread().is_empty() && !self.ended {
            let mut received = [0; PIECE];
            let mut received = ReadBuf::new(&mut received);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut received))?;
            if received.filled().is_empty() {
                self.ended = true;
            } else {
                self.open(received.filled())?;
                // What the channel has to say goes when there is room for it, at the latest with the
                // next words.
                if let Poll::Ready(Err(error)) = self.poll_send(context) {
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Layered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        let unread = this.unread();
        let count = unread.len().min(buffer.remaining());
        buffer.put_slice(&unread[..count]);
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Layered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // What is sealed counts as written, so there must be room for it.
        ready!(this.poll_send(context))?;
        let piece = &bytes[..bytes.len().min(PIECE)];
        this.channel.seal(piece, &mut this.sealed)?;
        match this.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(piece.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.closing, true) {
            this.channel.close(&mut this.sealed)?;
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// A channel out of which some bytes had been taken that nobody read.
#[derive(Debug)]
struct Resumed {
    unread: Vec<u8>,
    channel: Box<dyn Channel>,
}

impl Channel for Resumed {
    fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> io::Result<Opened> {
        let unread = std::mem::take(&mut self.unread);
        let Some((before, room)) = plain.split_at_mut_checked(unread.len()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        before.copy_from_slice(&unread);
        if sealed.is_empty() && !unread.is_empty() {
            return Ok(Opened {
                len: unread.len(),
                closed: false,
            });
        }
        let Opened { len, closed } = self.channel.open(sealed, room)?;
        let len = unread.len() + len;
        Ok(Opened { len, closed })
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<()> {
        self.channel.seal(plain, sealed)
    }

    fn close(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        self.channel.close(sealed)
    }

    fn has_answer(&self) -> bool {
        self.channel.has_answer()
    }

    fn take_answer(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        self.channel.take_answer(sealed)
    }
}

#[cfg(test)]
mod tests;
