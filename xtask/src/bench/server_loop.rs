//! The loop of a stub server: one thread, edge-triggered, so that it costs as little as possible
//! beside the proxy.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

/// What a stub server does.
pub(super) trait Service {
    type Listener: AsFd;
    type Connection: AsRawFd;

    /// Takes a connection off the listener, which does not block; nothing for one that is of no use
    /// any more.
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<Option<Self::Connection>>;

    /// Keeps in mind what epoll says of a connection: it says so once.
    fn note(connection: &mut Self::Connection, event: &Event);

    /// Answers requests until it would have to wait. A connection with an error is closed.
    fn advance(&mut self, connection: &mut Self::Connection) -> io::Result<Open>;
}

/// Whether a connection is still of use.
pub(super) enum Open {
    Yes,
    No,
}

/// Serves for ever.
pub(super) fn serve<S: Service>(listener: &S::Listener, service: &mut S) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut connections = Slab::new();
    rustix::io::ioctl_fionbio(listener, true)?;
    poll.registry().register(
        &mut SourceFd(&listener.as_fd().as_raw_fd()),
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
                accept_all(listener, service, poll.registry(), &mut connections)?;
            } else {
                let key = event.token().0;
                let Some(connection) = connections.get_mut(key) else {
                    continue;
                };
                S::note(connection, event);
                // A client that left, or sent no request of ours: closed either way.
                if !matches!(service.advance(connection), Ok(Open::Yes)) {
                    connections.remove(key);
                }
            }
        }
    }
}

fn accept_all<S: Service>(
    listener: &S::Listener,
    service: &mut S,
    registry: &Registry,
    connections: &mut Slab<S::Connection>,
) -> io::Result<()> {
    loop {
        match service.accept(listener) {
            Ok(None) => {}
            Ok(Some(connection)) => {
                let descriptor = connection.as_raw_fd();
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
