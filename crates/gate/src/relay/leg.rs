//! One end of a session: a socket, and what it can carry beside plain bytes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{SendFlags, send};

use crate::channel::{Channel, Opened};

/// One end of a session.
#[derive(Debug)]
pub struct Leg {
    pub(crate) socket: OwnedFd,
    pub(crate) channel: Option<Box<dyn Channel>>,
    /// Descriptors can come and go with bytes.
    pub(crate) passing: bool,
}

impl Leg {
    /// A connected stream with a secure channel on it.
    pub fn secure(socket: impl Into<OwnedFd>, channel: impl Channel + 'static) -> Leg {
        Leg::boxed(socket, Box::new(channel))
    }

    /// Likewise, with a channel of a kind that only its owner knew.
    pub(crate) fn boxed(socket: impl Into<OwnedFd>, channel: Box<dyn Channel>) -> Leg {
        Leg {
            socket: socket.into(),
            channel: Some(channel),
            passing: false,
        }
    }

    /// A connected unix stream on which descriptors may pass.
    pub fn passing(socket: impl Into<OwnedFd>) -> Leg {
        Leg {
            socket: socket.into(),
            channel: None,
            passing: true,
        }
    }

    /// Opens records that came on this leg, as far as it has a channel. When that fails, the peer is
    /// told why if it can be.
    pub(crate) fn open(&mut self, records: &[u8], plain: &mut [u8]) -> io::Result<Opened> {
        let Some(channel) = &mut self.channel else {
            return Err(io::Error::other("there is no channel to open records of"));
        };
        channel.open(records, plain).inspect_err(|_| {
            let mut alert = Vec::new();
            if channel.take_answer(&mut alert).is_ok() {
                // Where something is parked for the peer the alert makes no sense to it, and it
                // sees a broken channel all the same.
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = send(&self.socket, &alert, flags);
            }
        })
    }

    /// Whether the bytes on the socket are those of the protocol.
    pub(crate) fn is_plain(&self) -> bool {
        self.channel.is_none()
    }
}

impl<S: Into<OwnedFd>> From<S> for Leg {
    /// A connected stream without a secure channel.
    fn from(socket: S) -> Leg {
        Leg {
            socket: socket.into(),
            channel: None,
            passing: false,
        }
    }
}
