//! The stub server: stands for pmcd, welcomes each client and answers each request at once with
//! as many bytes as it asks for. One thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use pcp_proto::{Creds, PduHeader};
use slab::Slab;

use super::wire::{MAX_REPLY, REQUEST, reply_head, wanted_reply, welcome};

/// Requests that are read ahead for one connection: the others wait in the kernel, so that a client
/// that reads nothing cannot make the stub grow.
const READ_AHEAD: usize = 64;

const LISTENER: Token = Token(usize::MAX);

/// Serves until standard input ends; prints the port first.
pub(super) fn run() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind 127.0.0.1")?;
    let port = listener
        .local_addr()
        .context("cannot learn the port of the stub server")?
        .port();
    println!("{port}");
    std::thread::spawn(|| {
        // Whatever ends standard input, the bench is gone.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    serve(&listener).context("the stub server cannot go on")
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut connections = Slab::new();
    let mut page = vec![0; MAX_REPLY as usize];
    listener.set_nonblocking(true)?;
    poll.registry().register(
        &mut SourceFd(&listener.as_raw_fd()),
        LISTENER,
        Interest::READABLE,
    )?;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept_all(listener, poll.registry(), &mut connections)?;
            } else {
                let key = event.token().0;
                let Some(connection) = connections.get_mut(key) else {
                    continue;
                };
                connection.note(event);
                // A client that left, or sent no request of ours: closed either way.
                if !matches!(connection.advance(&mut page), Ok(Open::Yes)) {
                    connections.remove(key);
                }
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    registry: &Registry,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let descriptor = stream.as_raw_fd();
                // A client that has left already takes no welcome.
                let Ok(connection) = Connection::open(stream) else {
                    continue;
                };
                let key = connections.insert(connection);
                let interest = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut SourceFd(&descriptor), Token(key), interest)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a connection is still of use.
enum Open {
    Yes,
    No,
}

/// One client: requests that were read, and the reply that is on its way.
struct Connection {
    stream: TcpStream,
    inbox: Box<[u8; READ_AHEAD * REQUEST]>,
    /// The part of the inbox that holds bytes not answered yet.
    filled: std::ops::Range<usize>,
    /// The client's credentials came, which nobody looks at.
    introduced: bool,
    reply: u32,
    sent: usize,
    /// Epoll said that there are bytes, and no read came back short since.
    readable: bool,
    /// The client closed its side: epoll says so once, so it is kept.
    ending: bool,
}

impl Connection {
    fn open(mut stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        stream.write_all(&welcome())?;
        Ok(Connection {
            stream,
            inbox: Box::new([0; READ_AHEAD * REQUEST]),
            filled: 0..0,
            introduced: false,
            reply: 0,
            sent: 0,
            readable: false,
            ending: false,
        })
    }

    fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable();
        self.ending |= event.is_read_closed() || event.is_error();
    }

    /// Answers requests until it would have to wait.
    fn advance(&mut self, page: &mut [u8]) -> io::Result<Open> {
        while self.flush(page)? {
            if let Some(request) = self.next_request() {
                self.reply = wanted_reply(&request).ok_or(ErrorKind::InvalidData)?;
                self.sent = 0;
            } else if !(self.readable || self.ending) {
                return Ok(Open::Yes);
            } else if let Open::No = self.fill()? {
                return Ok(Open::No);
            }
        }
        Ok(Open::Yes)
    }

    /// Sends what is left of the reply; says whether all of it is gone.
    fn flush(&mut self, page: &mut [u8]) -> io::Result<bool> {
        let reply = self.reply as usize;
        while self.sent < reply {
            page[..PduHeader::SIZE].copy_from_slice(&reply_head(self.reply));
            match self.stream.write(&page[self.sent..reply]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn next_request(&mut self) -> Option<[u8; REQUEST]> {
        if !self.introduced {
            let _credentials: &[u8; Creds::HEAD] = self.inbox[self.filled.clone()].first_chunk()?;
            self.filled.start += Creds::HEAD;
            self.introduced = true;
        }
        let request = *self.inbox[self.filled.clone()].first_chunk()?;
        self.filled.start += REQUEST;
        Some(request)
    }

    /// Reads once into the inbox; it is not full, since [`Self::next_request`] had nothing to take.
    fn fill(&mut self) -> io::Result<Open> {
        self.inbox.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        let room = &mut self.inbox[self.filled.end..];
        let wanted = room.len();
        match self.stream.read(room) {
            Ok(0) => return Ok(Open::No),
            Ok(got) => {
                self.filled.end += got;
                self.readable = got == wanted;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                self.ending = false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(Open::Yes)
    }
}
