//! A TLS connection without its socket: bytes of the network go in, bytes of the protocol inside come
//! out, and the other way round.

use std::fmt;
use std::io::{self, Read, Write};

use rustls::{Connection, Error};

/// A TLS connection whose handshake is done.
pub struct Channel(Box<Connection>);

/// What came out of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// So many bytes lie in the buffer.
    pub len: usize,
    /// The peer has said that it sends nothing more.
    pub closed: bool,
}

impl Channel {
    /// A channel on a connection whose handshake is done. What the connection has read beyond the
    /// handshake comes out of the first [`Channel::open`].
    pub fn new(connection: impl Into<Connection>) -> Channel {
        let mut connection = connection.into();
        // The caller takes what was sealed at once.
        connection.set_buffer_limit(None);
        Channel(Box::new(connection))
    }

    /// Takes bytes of the network and puts what is inside them into `plain`, which must have room
    /// for as many. The start of a record that has not come whole stays inside.
    ///
    /// # Errors
    /// When the bytes are not what the peer sealed, or it sent an alert. There may then be an
    /// [answer](Channel::has_answer) that tells it why.
    pub fn open(&mut self, mut sealed: &[u8], plain: &mut [u8]) -> Result<Opened, Error> {
        let mut len = 0;
        loop {
            self.0.process_new_packets()?;
            while len < plain.len() {
                match self.0.reader().read(&mut plain[len..]) {
                    Ok(0) => return Ok(Opened { len, closed: true }),
                    Ok(count) => len += count,
                    Err(_) => break,
                }
            }
            if sealed.is_empty() {
                return Ok(Opened { len, closed: false });
            }
            self.0
                .read_tls(&mut sealed)
                .map_err(|error| failed(&error))?;
        }
    }

    /// Seals `plain` in records of its own, none if it is empty, and appends them to `sealed`.
    ///
    /// # Errors
    /// When the connection can seal nothing more.
    pub fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.0
            .writer()
            .write_all(plain)
            .map_err(|error| failed(&error))?;
        self.take_answer(sealed)
    }

    /// Appends the word that nothing more will come to `sealed`.
    ///
    /// # Errors
    /// When the connection can seal nothing more.
    pub fn close(&mut self, sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.0.send_close_notify();
        self.take_answer(sealed)
    }

    /// Whether the peer is to be sent something that TLS itself has to say.
    pub fn has_answer(&self) -> bool {
        self.0.wants_write()
    }

    /// Appends what TLS itself has to say to `sealed`.
    ///
    /// # Errors
    /// None that are known; a vector takes everything.
    pub fn take_answer(&mut self, sealed: &mut Vec<u8>) -> Result<(), Error> {
        while self.0.wants_write() {
            self.0.write_tls(sealed).map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}

fn failed(error: &io::Error) -> Error {
    Error::General(error.to_string())
}
