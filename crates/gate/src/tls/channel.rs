//! TLS as a channel without its socket.

use std::fmt;
use std::io::{self, Read, Write};

use rustls::Connection;

use crate::channel::{Channel, Opened};

/// A TLS connection whose handshake is done.
pub struct TlsChannel(Box<Connection>);

impl TlsChannel {
    /// A channel on a connection whose handshake is done. What the connection has read beyond the
    /// handshake comes out of the first [`Channel::open`].
    pub fn new(connection: impl Into<Connection>) -> TlsChannel {
        let mut connection = connection.into();
        // The caller takes what was sealed at once.
        connection.set_buffer_limit(None);
        TlsChannel(Box::new(connection))
    }
}

impl Channel for TlsChannel {
    fn open(&mut self, mut sealed: &[u8], plain: &mut [u8]) -> io::Result<Opened> {
        let mut len = 0;
        loop {
            self.0
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
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
            self.0.read_tls(&mut sealed)?;
        }
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(plain)?;
        self.take_answer(sealed)
    }

    fn close(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        self.0.send_close_notify();
        self.take_answer(sealed)
    }

    fn has_answer(&self) -> bool {
        self.0.wants_write()
    }

    fn take_answer(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(sealed)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TlsChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsChannel")
    }
}
