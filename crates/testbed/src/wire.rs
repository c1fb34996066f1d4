//! One end of a TCP connection, for tests that speak the protocol by themselves, well or badly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO, Target};
use pcp_proto::{ErrorPdu, Features, PDU_VERSION, Pdu, PduHeader, Status};
use socket2::SockRef;

use crate::eventually::PATIENCE;

/// The largest PDU that is read; a longer one is a mistake of the test.
const MAX_PDU: usize = 64 << 20;

/// How the peer ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order: an end-of-file.
    Closed,
    /// By a reset.
    Reset,
}

/// A connection. Small pieces are sent as they are given, and no read or write waits for longer
/// than [`PATIENCE`].
#[derive(Debug)]
pub struct Wire {
    stream: Arc<TcpStream>,
}

impl Wire {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When that fails.
    pub fn connect(port: u16) -> Result<Wire> {
        Wire::connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// When that fails.
    pub fn connect_to(address: SocketAddr) -> Result<Wire> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        Wire::new(stream)
    }

    /// Connects to a pmproxy and asks it for a pmcd, as a good client does.
    ///
    /// # Errors
    /// When the proxy cannot be reached or does not greet. Whether it reached the pmcd is not known
    /// yet.
    pub fn through(proxy: u16, host: &str, port: u16) -> Result<Wire> {
        let mut wire = Wire::connect(proxy)?;
        wire.send(CLIENT_HELLO)?;
        let hello = wire.receive(SERVER_HELLO.len())?;
        if hello != SERVER_HELLO {
            bail!(
                "pmproxy answered the greeting with {:?}",
                String::from_utf8_lossy(&hello)
            );
        }
        let port = NonZeroU16::new(port).context("pmcd has no port 0")?;
        wire.send(&Target::new(host, port)?.to_line())?;
        Ok(wire)
    }

    /// Takes a connected stream over.
    ///
    /// # Errors
    /// When its options cannot be set.
    pub fn new(stream: TcpStream) -> Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire {
            stream: Arc::new(stream),
        })
    }

    /// The stream itself, for what is not here.
    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// When the peer is gone, or takes nothing for longer than [`PATIENCE`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut stream: &TcpStream = &self.stream;
        stream
            .write_all(bytes)
            .with_context(|| format!("cannot send {} bytes", bytes.len()))
    }

    /// Sends a PDU.
    ///
    /// # Errors
    /// See [`Wire::send`].
    pub fn send_pdu(&mut self, pdu: &impl Pdu) -> Result<()> {
        self.send(&pdu.encode(0))
    }

    /// Sends `bytes` in pieces of `size` (at least 1), each after a `pause`, so that each is a
    /// segment of its own.
    ///
    /// # Errors
    /// See [`Wire::send`].
    pub fn send_slowly(&mut self, bytes: &[u8], size: usize, pause: Duration) -> Result<()> {
        for piece in bytes.chunks(size.max(1)) {
            sleep(pause);
            self.send(piece)?;
        }
        Ok(())
    }

    /// Greets as pmcd greets a client that is welcome.
    ///
    /// # Errors
    /// See [`Wire::send`].
    pub fn greet_as_pmcd(&mut self) -> Result<()> {
        let features = Features::LABELS | Features::HIGHRES | Features::DESCS;
        self.send_pdu(&ErrorPdu::Extended {
            status: Status::OK,
            version: PDU_VERSION,
            features,
        })
    }

    /// Receives exactly `len` bytes.
    ///
    /// # Errors
    /// When the connection ends before, or nothing comes for longer than [`PATIENCE`].
    pub fn receive(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut stream: &TcpStream = &self.stream;
        stream
            .read_exact(&mut bytes)
            .with_context(|| format!("cannot receive {len} bytes"))?;
        Ok(bytes)
    }

    /// Receives a whole PDU, header included.
    ///
    /// # Errors
    /// See [`Wire::receive`]; or when the length cannot be that of a PDU.
    pub fn receive_pdu(&mut self) -> Result<Vec<u8>> {
        let mut pdu = self.receive(PduHeader::SIZE)?;
        let len = PduHeader::decode(&pdu)?.len as usize;
        if !(PduHeader::SIZE..=MAX_PDU).contains(&len) {
            bail!("received a PDU of {len} bytes");
        }
        pdu.extend(self.receive(len - PduHeader::SIZE)?);
        Ok(pdu)
    }

    /// Receives all there is until the peer ends the connection, and says how it did.
    ///
    /// # Errors
    /// When the peer does not end it, and nothing comes for longer than [`PATIENCE`].
    pub fn receive_to_end(&mut self) -> Result<(Vec<u8>, Ending)> {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let mut stream: &TcpStream = &self.stream;
            match stream.read(&mut piece) {
                Ok(0) => return Ok((bytes, Ending::Closed)),
                Ok(len) => bytes.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok((bytes, Ending::Reset));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("the peer sent {} bytes and did not end", bytes.len())
                    });
                }
            }
        }
    }

    /// Sends no more (half-close); what the peer sends still arrives.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn finish_sending(&self) -> Result<()> {
        self.stream
            .shutdown(Shutdown::Write)
            .context("cannot half-close the connection")
    }

    /// Ends the connection with a reset instead of an orderly close.
    ///
    /// # Errors
    /// When the option cannot be set.
    pub fn reset(self) -> Result<()> {
        SockRef::from(&*self.stream)
            .set_linger(Some(Duration::ZERO))
            .context("cannot reset the connection")
    }
}
