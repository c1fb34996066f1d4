//! The stub server: stands for a modular daemon whose calls cost nothing. It answers what opens a
//! connection, and any other call at once as if it asked for the version of the library. One thread.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lexopt::prelude::*;
use mio::event::Event;
use virt_proto::{
    AuthType, AuthTypes, FrameHead, FrameLimit, Header, MessageType, Procedure, Program, Supported,
    xdr::Writer,
};

use super::super::process::end_with_the_bench;
use super::super::server_loop::{Open, Service, serve};

/// Bytes that are read ahead for one connection, which is the longest call too. The others wait in
/// the kernel, so that a client that reads nothing cannot make the stub grow.
const READ_AHEAD: usize = 16 << 10;

/// What GET_LIB_VERSION gives: 11.3.0, as libvirt counts.
const LIB_VERSION: u64 = 11_003_000;

/// Serves until standard input ends; prints its socket first.
pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut socket = None;
    while let Some(arg) = args.next()? {
        match arg {
            Long("socket") => socket = Some(PathBuf::from(args.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let socket = socket.context("no --socket was given")?;
    let listener = listen(&socket)?;
    println!("{}", socket.display());
    end_with_the_bench();
    serve(&listener, &mut Stub).context("the stub server cannot go on")
}

fn listen(socket: &Path) -> Result<UnixListener> {
    UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))
}

struct Stub;

impl Service for Stub {
    type Listener = UnixListener;
    type Connection = Connection;

    fn accept(&mut self, listener: &UnixListener) -> io::Result<Option<Connection>> {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok(Some(Connection {
            stream,
            inbox: vec![0; READ_AHEAD],
            filled: 0,
            outbox: Vec::new(),
            readable: false,
            ending: false,
        }))
    }

    fn note(connection: &mut Connection, event: &Event) {
        connection.ending |= event.is_read_closed() || event.is_error();
        connection.readable |= event.is_readable() || connection.ending;
    }

    fn advance(&mut self, connection: &mut Connection) -> io::Result<Open> {
        connection.advance()
    }
}

/// One client: what came of its calls, and replies that it has not taken.
struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// How much of the inbox holds calls that are not answered yet.
    filled: usize,
    outbox: Vec<u8>,
    /// Epoll said that there are bytes, and no read came back short since.
    readable: bool,
    /// The client closed its side: epoll says so once, so it is kept.
    ending: bool,
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl Connection {
    /// Answers calls until it would have to wait.
    fn advance(&mut self) -> io::Result<Open> {
        while self.flush()? && self.readable {
            let room = &mut self.inbox[self.filled..];
            let wanted = room.len();
            match self.stream.read(room) {
                Ok(0) => return Ok(Open::No),
                Ok(got) => {
                    // A short read took all there was, except that an end is still to be read.
                    self.readable = got == wanted || self.ending;
                    self.filled += got;
                    self.answer_all()?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Open::Yes)
    }

    /// Sends what is left of the replies; says whether all of it is gone.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(sent) => drop(self.outbox.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Answers the whole calls in the inbox.
    fn answer_all(&mut self) -> io::Result<()> {
        let mut calls = &self.inbox[..self.filled];
        while let Ok(head) = FrameHead::decode(calls) {
            let len = FrameLimit::CURRENT.check(head.len).map_err(invalid)? as usize;
            if len > READ_AHEAD {
                return Err(ErrorKind::InvalidData.into());
            }
            let Some(rest) = calls.get(len..) else {
                break;
            };
            calls = rest;
            self.outbox
                .extend(reply_to(head.header).unwrap_or_default());
        }
        let left = calls.len();
        self.inbox.copy_within(self.filled - left..self.filled, 0);
        self.filled = left;
        Ok(())
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// The answer to a call; nothing for what is none.
fn reply_to(header: Header) -> Option<Vec<u8>> {
    if header.program != Program::REMOTE || header.message_type != MessageType::CALL {
        return None;
    }
    let reply = header.reply();
    Some(match header.procedure {
        Procedure::AUTH_LIST => reply.frame(&AuthTypes(vec![AuthType::NONE])),
        Procedure::CONNECT_SUPPORTS_FEATURE => reply.frame(&Supported(true)),
        Procedure::CONNECT_OPEN | Procedure::CONNECT_SET_IDENTITY | Procedure::CONNECT_CLOSE => {
            reply.frame(&())
        }
        _ => {
            let mut version = Writer::default();
            version.u64(LIB_VERSION);
            reply.frame_around(&version.into_bytes())
        }
    })
}

#[cfg(test)]
mod tests;
