//! One end of a connection that speaks libvirt's RPC in single frames, well or badly, to a proxy or
//! to a real daemon.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use socket2::Socket;
use virt_proto::{
    AuthList, AuthTypes, Call, FrameHead, FrameLimit, Header, Open, OpenFlags, Payload,
    RemoteError, Serial, Status,
};

use crate::eventually::PATIENCE;
use crate::wire::Ending;

/// A connection. No read or write waits for longer than [`PATIENCE`].
#[derive(Debug)]
pub struct VirtWire {
    socket: Socket,
    serial: u32,
}

/// A frame that came, with the descriptors that belong to it.
#[derive(Debug)]
pub struct VirtFrame {
    /// What it says of itself.
    pub header: Header,
    /// What stands behind the header.
    pub payload: Vec<u8>,
    /// The descriptors.
    pub fds: Vec<OwnedFd>,
}

impl VirtFrame {
    /// Its bytes as they came, without the descriptors: what two answers are compared by.
    pub fn bytes(&self) -> Vec<u8> {
        frame(&self.header, &self.payload)
    }

    /// What the answer to a call carries.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn outcome<P: Payload>(&self) -> Result<Result<P, RemoteError>> {
        Ok(if self.header.status == Status::ERROR {
            Err(RemoteError::decode(&self.payload)?)
        } else {
            Ok(P::decode(&self.payload)?)
        })
    }
}

impl VirtWire {
    /// Connects to a unix socket.
    ///
    /// # Errors
    /// When that fails.
    pub fn unix(path: &Path) -> Result<VirtWire> {
        let stream = UnixStream::connect(path)
            .with_context(|| format!("cannot connect to {}", path.display()))?;
        VirtWire::new(stream)
    }

    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When that fails.
    pub fn tcp(port: u16) -> Result<VirtWire> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot connect to port {port}"))?;
        stream.set_nodelay(true)?;
        VirtWire::new(stream)
    }

    /// Takes a connected stream over.
    ///
    /// # Errors
    /// When its options cannot be set.
    pub fn new(stream: impl Into<Socket>) -> Result<VirtWire> {
        let socket = stream.into();
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(VirtWire { socket, serial: 0 })
    }

    /// The socket itself, for what is not here.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Authenticates with nothing and opens `uri`, as a good client does.
    ///
    /// # Errors
    /// When that is refused; the error has the reason.
    pub fn open(&mut self, uri: &str, flags: OpenFlags) -> Result<()> {
        let AuthTypes(types) = self.call(&AuthList)?.map_err(|error| refused(&error))?;
        if types.iter().any(|auth| *auth != virt_proto::AuthType::NONE) {
            bail!("the daemon wants authentication: {types:?}");
        }
        let name = Some(uri.to_owned());
        self.call(&Open { name, flags })?
            .map_err(|error| refused(&error))
    }

    /// Makes a call and takes the next frame for its answer.
    ///
    /// # Errors
    /// When the connection fails, or something else than an answer comes.
    pub fn call<C: Call>(&mut self, call: &C) -> Result<Result<C::Reply, RemoteError>> {
        let header = C::header(self.next_serial());
        self.send(&header.frame(call))?;
        let answer = self.receive()?;
        if answer.header.serial != header.serial || answer.header.procedure != header.procedure {
            bail!("{header:?} was answered with {answer:?}");
        }
        answer.outcome()
    }

    /// Sends a frame with any header and any payload, and takes the next frame for its answer.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn ask(&mut self, header: &Header, payload: &[u8]) -> Result<VirtFrame> {
        self.send(&frame(header, payload))?;
        self.receive()
    }

    /// A number that no earlier call on this connection has had.
    pub fn next_serial(&mut self) -> Serial {
        self.serial += 1;
        Serial(self.serial)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// When the peer is gone, or takes nothing for longer than [`PATIENCE`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        (&self.socket)
            .write_all(bytes)
            .with_context(|| format!("cannot send {} bytes", bytes.len()))
    }

    /// Sends a descriptor as libvirt does, with one zero byte.
    ///
    /// # Errors
    /// When the peer is gone or takes nothing.
    pub fn send_fd(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        self.send_with_fd(0, fd)
    }

    /// Sends a descriptor with any byte.
    ///
    /// # Errors
    /// When the peer is gone or takes nothing.
    pub fn send_with_fd(&mut self, byte: u8, fd: BorrowedFd<'_>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            bail!("there is no space for a descriptor");
        }
        let byte = [byte];
        let byte = [IoSlice::new(&byte)];
        sendmsg(
            self.socket.as_fd(),
            &byte,
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .context("cannot send a descriptor")?;
        Ok(())
    }

    /// Receives a frame and its descriptors.
    ///
    /// # Errors
    /// When the connection ends before, or nothing comes for longer than [`PATIENCE`], or what comes
    /// is no frame.
    pub fn receive(&mut self) -> Result<VirtFrame> {
        let mut bytes = self.receive_bytes(FrameHead::SIZE)?;
        let head = FrameHead::decode(&bytes)?;
        let len = usize::try_from(FrameLimit::CURRENT.check(head.len)?)?;
        bytes.extend(self.receive_bytes(len - FrameHead::SIZE)?);
        let count = head.fds(&bytes)?;
        let fds = (0..count)
            .map(|_| self.receive_fd())
            .collect::<Result<_>>()?;
        Ok(VirtFrame {
            header: head.header,
            payload: bytes.split_off(FrameHead::SIZE),
            fds,
        })
    }

    /// Receives exactly `len` bytes.
    ///
    /// # Errors
    /// When the connection ends before, or nothing comes for longer than [`PATIENCE`].
    pub fn receive_bytes(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        (&self.socket)
            .read_exact(&mut bytes)
            .with_context(|| format!("cannot receive {len} bytes"))?;
        Ok(bytes)
    }

    /// Receives one byte and the descriptor that comes with it.
    ///
    /// # Errors
    /// When there is none with it.
    pub fn receive_fd(&mut self) -> Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(self.socket.as_fd(), &mut slices, &mut control, flags)
            .context("cannot receive a descriptor")?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        fds.next()
            .and_then(|mut fds| fds.next())
            .context("no descriptor came with the byte")
    }

    /// Receives all there is until the peer ends the connection, and says how it did.
    ///
    /// # Errors
    /// When the peer does not end it, and nothing comes for longer than [`PATIENCE`].
    pub fn receive_to_end(&mut self) -> Result<(Vec<u8>, Ending)> {
        let mut bytes = Vec::new();
        match (&self.socket).read_to_end(&mut bytes) {
            Ok(_) => Ok((bytes, Ending::Closed)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok((bytes, Ending::Reset)),
            Err(error) => {
                let len = bytes.len();
                Err(error).with_context(|| format!("the peer sent {len} bytes and did not end"))
            }
        }
    }

    /// Sends no more (half-close); what the peer sends still arrives.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn finish_sending(&self) -> Result<()> {
        self.socket
            .shutdown(Shutdown::Write)
            .context("cannot half-close the connection")
    }
}

/// A whole frame around a payload of any bytes.
fn frame(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut frame = header.frame(&());
    frame.extend(payload);
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// What the peer said, as an error of the test.
fn refused(error: &RemoteError) -> anyhow::Error {
    anyhow::anyhow!("refused: {error:?}")
}
