//! A connection with TLS as the load generator uses it once it is set up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use rustls::client::UnbufferedClientConnection;

use super::super::link::{CLOSED, Link, TOO_MUCH, write_whole};
use super::secure::{Channel, RECORD, Received, sealed_room};
use super::wire::REQUEST;

/// A connection whose bytes can be made before they are sent.
pub(super) trait Sealed: Link<Socket = TcpStream> {
    /// A request as it goes over the network.
    fn sealed(&mut self, request: &[u8; REQUEST]) -> Result<Vec<u8>>;
}

impl Sealed for TcpStream {
    fn sealed(&mut self, request: &[u8; REQUEST]) -> Result<Vec<u8>> {
        Ok(request.to_vec())
    }
}

/// The near side's end of a connection with TLS.
pub(super) struct SecureLink {
    stream: TcpStream,
    channel: Channel<UnbufferedClientConnection>,
}

impl SecureLink {
    /// Makes the handshake.
    pub(super) fn new(stream: TcpStream, end: UnbufferedClientConnection) -> Result<SecureLink> {
        let mut channel = Channel::new(end);
        channel
            .shake_hands(&stream)
            .context("the handshake of TLS failed")?;
        Ok(SecureLink { stream, channel })
    }
}

impl Link for SecureLink {
    type Socket = TcpStream;

    fn socket(&self) -> &TcpStream {
        &self.stream
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        let mut record = [0; sealed_room(REQUEST)];
        let sealed = self.channel.seal(request, &mut record);
        let sealed = sealed.context("cannot seal a request")?;
        write_whole(&mut self.stream, &record[..sealed])
    }

    /// The length of the records is not known, so all of the scratch buffer is offered.
    fn receive(&mut self, missing: &mut usize, scratch: &mut [u8]) -> Result<bool> {
        while *missing > 0 {
            let mut left = Some(*missing);
            let take = |plain: &[u8]| left = left.and_then(|left| left.checked_sub(plain.len()));
            let received = self.channel.read_records(&self.stream, scratch, take);
            *missing = left.context(TOO_MUCH)?;
            match received {
                Ok(Received::Some) => {}
                Ok(Received::All) => return Ok(*missing == 0),
                Ok(Received::End) => bail!(CLOSED),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read a reply"),
            }
        }
        Ok(true)
    }
}

impl Sealed for SecureLink {
    fn sealed(&mut self, request: &[u8; REQUEST]) -> Result<Vec<u8>> {
        let mut record = vec![0; sealed_room(REQUEST)];
        let sealed = self.channel.seal(request, &mut record);
        record.truncate(sealed.context("cannot seal a request")?);
        Ok(record)
    }
}

/// A socket with TLS that blocks, as a stream of bytes.
pub(super) struct Blocking<'a> {
    link: &'a mut SecureLink,
    opened: Vec<u8>,
    records: Vec<u8>,
}

impl<'a> Blocking<'a> {
    pub(super) fn new(link: &'a mut SecureLink) -> Blocking<'a> {
        let records = vec![0; sealed_room(RECORD)];
        Blocking {
            link,
            opened: Vec::new(),
            records,
        }
    }
}

impl Read for Blocking<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let SecureLink { stream, channel } = &mut *self.link;
        while self.opened.is_empty() {
            let take = |plain: &[u8]| self.opened.extend_from_slice(plain);
            if let Received::End = channel.read_records(stream, &mut self.records, take)? {
                return Ok(0);
            }
        }
        let count = room.len().min(self.opened.len());
        room[..count].copy_from_slice(&self.opened[..count]);
        self.opened.drain(..count);
        Ok(count)
    }
}

impl Write for Blocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(RECORD);
        let SecureLink { stream, channel } = &mut *self.link;
        channel.write_records(stream, &bytes[..count], &mut self.records)?;
        channel.flush(stream)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.channel.flush(&self.link.stream)
    }
}
