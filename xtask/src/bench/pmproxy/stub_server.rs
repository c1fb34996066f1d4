//! The stub server: stands for pmcd, welcomes each client and answers each request at once with
//! as many bytes as it asks for, with TLS if the client's credentials ask for it. One thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use anyhow::{Context, Result};
use lexopt::prelude::*;
use mio::event::Event;
use pcp_proto::{Creds, Features, PduHeader};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;

use super::super::process::end_with_the_bench;
use super::super::server_loop::{Open, Service, serve};
use super::certificates::Certificates;
use super::secure::{Channel, Received, sealed_room};
use super::wire::{MAX_REPLY, REQUEST, acknowledgement, reply_head, wanted_reply, welcome};

/// Requests that are read ahead for one connection: the others wait in the kernel, so that a client
/// that reads nothing cannot make the stub grow.
const READ_AHEAD: usize = 64;

/// Serves until standard input ends; prints the port first.
pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut certificates = None;
    while let Some(arg) = args.next()? {
        match arg {
            Long("certificates") => certificates = Some(Certificates::at(args.value()?.into())),
            other => return Err(other.unexpected().into()),
        }
    }
    let certificates = certificates.context("no --certificates were given")?;
    let mut desk = Desk::new(&certificates)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind 127.0.0.1")?;
    let port = listener
        .local_addr()
        .context("cannot learn the port of the stub server")?
        .port();
    println!("{port}");
    end_with_the_bench();
    serve(&listener, &mut desk).context("the stub server cannot go on")
}

/// What all connections share.
pub(super) struct Desk {
    /// Zeros, but for a reply's head.
    page: Vec<u8>,
    /// TLS records, for as long as they are read or made.
    records: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Desk {
    fn new(certificates: &Certificates) -> Result<Desk> {
        Ok(Desk {
            page: vec![0; MAX_REPLY as usize],
            records: vec![0; sealed_room(MAX_REPLY as usize)],
            config: certificates.server_config()?,
        })
    }
}

impl Service for Desk {
    type Listener = TcpListener;
    type Connection = Connection;

    fn accept(&mut self, listener: &TcpListener) -> io::Result<Option<Connection>> {
        let (stream, _) = listener.accept()?;
        // A client that has left already takes no welcome.
        Ok(Connection::open(stream).ok())
    }

    fn note(connection: &mut Connection, event: &Event) {
        connection.readable |= event.is_readable();
        connection.ending |= event.is_read_closed() || event.is_error();
    }

    fn advance(&mut self, connection: &mut Connection) -> io::Result<Open> {
        connection.advance(self)
    }
}

/// One client: requests that were read, and the reply that is on its way.
pub(super) struct Connection {
    stream: TcpStream,
    /// TLS, once the client has asked for it. One branch for a plain read or write.
    channel: Option<Box<Channel<UnbufferedServerConnection>>>,
    inbox: Box<[u8; READ_AHEAD * REQUEST]>,
    /// The part of the inbox that holds bytes not answered yet.
    filled: std::ops::Range<usize>,
    /// The client's credentials came.
    introduced: bool,
    reply: u32,
    sent: usize,
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
    fn open(mut stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        stream.write_all(&welcome())?;
        Ok(Connection {
            stream,
            channel: None,
            inbox: Box::new([0; READ_AHEAD * REQUEST]),
            filled: 0..0,
            introduced: false,
            reply: 0,
            sent: 0,
            readable: false,
            ending: false,
        })
    }

    /// Answers requests until it would have to wait.
    fn advance(&mut self, desk: &mut Desk) -> io::Result<Open> {
        while self.flush(desk)? {
            if let Some(request) = self.next_request(desk)? {
                self.reply = wanted_reply(&request).ok_or(ErrorKind::InvalidData)?;
                self.sent = 0;
            } else if !(self.readable || self.ending) {
                return Ok(Open::Yes);
            } else if let Open::No = self.fill(desk)? {
                return Ok(Open::No);
            }
        }
        Ok(Open::Yes)
    }

    /// Sends what is left of the reply; says whether all of it is gone.
    fn flush(&mut self, desk: &mut Desk) -> io::Result<bool> {
        let done = match &self.channel {
            None => self.send(&mut desk.page),
            Some(_) => self.send_sealed(desk),
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, page: &mut [u8]) -> io::Result<()> {
        let reply = self.reply as usize;
        while self.sent < reply {
            page[..PduHeader::SIZE].copy_from_slice(&reply_head(self.reply));
            match self.stream.write(&page[self.sent..reply]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same with TLS: a reply is sealed as a whole, in one record if it fits.
    fn send_sealed(&mut self, desk: &mut Desk) -> io::Result<()> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let reply = self.reply as usize;
        if self.sent < reply {
            desk.page[..PduHeader::SIZE].copy_from_slice(&reply_head(self.reply));
            self.sent = reply;
            channel.write_records(&self.stream, &desk.page[..reply], &mut desk.records)?;
        }
        channel.flush(&self.stream)
    }

    fn next_request(&mut self, desk: &Desk) -> io::Result<Option<[u8; REQUEST]>> {
        if !self.introduced {
            let Some(credentials) = self.inbox[self.filled.clone()].first_chunk() else {
                return Ok(None);
            };
            let credentials: [u8; Creds::HEAD] = *credentials;
            self.filled.start += Creds::HEAD;
            self.introduced = true;
            if Creds::asks_for(&credentials, Features::SECURE) {
                self.begin_tls(&desk.config)?;
            }
        }
        let Some(request) = self.inbox[self.filled.clone()].first_chunk() else {
            return Ok(None);
        };
        self.filled.start += REQUEST;
        Ok(Some(*request))
    }

    /// The client waits for the acknowledgement before it sends anything more.
    fn begin_tls(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let end = UnbufferedServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        self.channel = Some(Box::new(Channel::new(end)));
        self.stream.write_all(&acknowledgement())
    }

    /// Reads once into the inbox; it is not full, since [`Self::next_request`] had nothing to take.
    fn fill(&mut self, desk: &mut Desk) -> io::Result<Open> {
        self.inbox.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        let read = match self.channel {
            None => self.read(),
            Some(_) => self.read_sealed(&mut desk.records),
        };
        match read {
            Ok(Received::End) => return Ok(Open::No),
            Ok(Received::Some) => self.readable = true,
            Ok(Received::All) => self.readable = false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                self.ending = false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(Open::Yes)
    }

    fn read(&mut self) -> io::Result<Received> {
        let room = &mut self.inbox[self.filled.end..];
        let wanted = room.len();
        let got = self.stream.read(room)?;
        self.filled.end += got;
        Ok(match got {
            0 => Received::End,
            got if got == wanted => Received::Some,
            _ => Received::All,
        })
    }

    /// Reads no more than there is room for: what is sealed is longer than what is inside.
    fn read_sealed(&mut self, records: &mut [u8]) -> io::Result<Received> {
        let Some(channel) = &mut self.channel else {
            return Ok(Received::End);
        };
        let (inbox, end) = (&mut self.inbox[..], &mut self.filled.end);
        let room = inbox.len() - *end;
        let mut fits = true;
        let received =
            channel.read_records(&self.stream, &mut records[..room], |plain| {
                match inbox.get_mut(*end..*end + plain.len()) {
                    Some(place) => {
                        place.copy_from_slice(plain);
                        *end += plain.len();
                    }
                    None => fits = false,
                }
            })?;
        if fits {
            Ok(received)
        } else {
            Err(ErrorKind::InvalidData.into())
        }
    }
}

#[cfg(test)]
mod tests;
