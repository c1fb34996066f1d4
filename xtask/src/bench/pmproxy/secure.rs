//! TLS on a socket, for load generator and stub server: rustls without buffers of its own, so that
//! it costs both as little as it can beside the proxy.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

/// The longest plain text of one record, in bytes (RFC 8446, 5.1).
pub(super) const RECORD: usize = 16 << 10;

/// What sealing adds to a record at most, in bytes: its head, the type and the tag, or in TLS 1.2
/// a nonce.
const OVERHEAD: usize = 32;

/// One end of a connection with TLS, of either side.
pub(super) trait End {
    /// What rustls keeps for this side.
    type Data;

    /// Goes on with the records at the start of `records`.
    fn process<'a, 'b>(&'a mut self, records: &'b mut [u8])
    -> UnbufferedStatus<'a, 'b, Self::Data>;
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'a, 'b>(
        &'a mut self,
        records: &'b mut [u8],
    ) -> UnbufferedStatus<'a, 'b, Self::Data> {
        self.process_tls_records(records)
    }
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'a, 'b>(
        &'a mut self,
        records: &'b mut [u8],
    ) -> UnbufferedStatus<'a, 'b, Self::Data> {
        self.process_tls_records(records)
    }
}

/// TLS on a socket, which each call is given.
pub(super) struct Channel<E> {
    end: E,
    /// The start of a record whose rest has not come.
    held: Vec<u8>,
    /// Records that the socket did not take at once.
    unsent: Vec<u8>,
    /// How much of them it has taken since.
    taken: usize,
    /// The handshake is done.
    established: bool,
}

/// What one read brought.
pub(super) enum Received {
    /// The other side has closed.
    End,
    /// Something, and there may be more.
    Some,
    /// All that was there.
    All,
}

impl<E: End> Channel<E> {
    pub(super) fn new(end: E) -> Channel<E> {
        Channel {
            end,
            held: Vec::new(),
            unsent: Vec::new(),
            taken: 0,
            established: false,
        }
    }

    /// Makes the handshake on a socket that blocks.
    pub(super) fn shake_hands(&mut self, stream: &TcpStream) -> io::Result<()> {
        self.process(stream, &mut [], |_| ())?;
        let mut records = vec![0; RECORD + OVERHEAD];
        while !self.established {
            if let Received::End = self.read_records(stream, &mut records, |_| ())? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads once, into `records`, and gives `take` what was sealed.
    pub(super) fn read_records(
        &mut self,
        mut stream: &TcpStream,
        records: &mut [u8],
        take: impl FnMut(&[u8]),
    ) -> io::Result<Received> {
        let start = self.held.len();
        let (held, free) = records
            .split_at_mut_checked(start)
            .ok_or(ErrorKind::InvalidData)?;
        let asked = free.len();
        let got = stream.read(free)?;
        if got == 0 {
            return Ok(Received::End);
        }
        held.copy_from_slice(&self.held);
        self.process(stream, &mut records[..start + got], take)?;
        Ok(if got == asked {
            Received::Some
        } else {
            Received::All
        })
    }

    /// Opens records, keeps the start of the last one if its rest has not come, and sends what TLS
    /// itself has to say.
    fn process(
        &mut self,
        stream: &TcpStream,
        records: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } = self.end.process(&mut records[used..]);
            let mut waits = false;
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        take(record.map_err(io::Error::other)?.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut flight) => {
                    let start = self.unsent.len();
                    if let Err(EncodeError::InsufficientSize(size)) = flight.encode(&mut []) {
                        self.unsent.resize(start + size.required_size, 0);
                        let room = &mut self.unsent[start..];
                        flight.encode(room).map_err(io::Error::other)?;
                    }
                }
                ConnectionState::TransmitTlsData(flight) => flight.done(),
                ConnectionState::WriteTraffic(_) => {
                    self.established = true;
                    waits = true;
                }
                _ => waits = true,
            }
            used += discard;
            if waits {
                break;
            }
        }
        self.held.clear();
        self.held.extend_from_slice(&records[used..]);
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.flush(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            done => done,
        }
    }

    /// Seals `plain` and sends the records; what the socket does not take waits for
    /// [`Self::flush`]. `records` is a space to work in, as large as [`sealed_room`] says.
    pub(super) fn write_records(
        &mut self,
        mut stream: &TcpStream,
        plain: &[u8],
        records: &mut [u8],
    ) -> io::Result<()> {
        let sealed = self.seal(plain, records)?;
        let sent = if self.unsent.is_empty() {
            match stream.write(&records[..sealed]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                done => done?,
            }
        } else {
            0
        };
        self.unsent.extend_from_slice(&records[sent..sealed]);
        Ok(())
    }

    /// Puts records with `plain` into `records` and says how long they are.
    pub(super) fn seal(&mut self, plain: &[u8], records: &mut [u8]) -> io::Result<usize> {
        match self.end.process(&mut []).state.map_err(io::Error::other)? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let sealed = traffic.encrypt(plain, records);
                sealed.map_err(io::Error::other)
            }
            state => Err(io::Error::other(format!("nothing can be sent: {state:?}"))),
        }
    }

    /// Sends what waits, or fails with [`ErrorKind::WouldBlock`].
    pub(super) fn flush(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        while self.taken < self.unsent.len() {
            match stream.write(&self.unsent[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent.clear();
        self.taken = 0;
        Ok(())
    }
}

/// The room that so many bytes take when they are sealed.
pub(super) const fn sealed_room(plain: usize) -> usize {
    plain + (plain / RECORD + 1) * OVERHEAD
}
