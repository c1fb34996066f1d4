//! SASL's security layer, which a connection is inside of once its client is known.
//!
//! Seen with virsh and libvirtd 9.0: the reply that says that SASL is complete travels outside of the
//! layer, and the client's next call is the first thing inside. Nothing comes before it: the byte 1
//! that a TLS server sends before RPC begins has no counterpart here.

use std::io;

use gate::channel::{Channel, Opened};
use sasl::{SaslError, Session};

/// SASL's security layer on one connection.
#[derive(Debug)]
pub(crate) struct SaslLayer {
    session: Session,
    /// What came out, and how much of it was handed on: the rest found no room.
    left: Vec<u8>,
    handed_on: usize,
}

impl SaslLayer {
    pub(super) fn new(session: Session) -> SaslLayer {
        SaslLayer {
            session,
            left: Vec::new(),
            handed_on: 0,
        }
    }
}

/// Up to 64 KiB of a packet that has not come whole stay inside, as libsasl2 was told. What finds no
/// room comes out next time.
impl Channel for SaslLayer {
    fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> io::Result<Opened> {
        self.session
            .decode(sealed, &mut self.left)
            .map_err(invalid)?;
        let ready = self.left.get(self.handed_on..).unwrap_or_default();
        let len = ready.len().min(plain.len());
        for (to, from) in plain.iter_mut().zip(ready) {
            *to = *from;
        }
        self.handed_on += len;
        if self.handed_on >= self.left.len() {
            // No buffer belongs to an idle connection.
            self.left = Vec::new();
            self.handed_on = 0;
        }
        // SASL has no word for the end.
        Ok(Opened { len, closed: false })
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<()> {
        self.session.encode(plain, sealed).map_err(invalid)
    }

    fn close(&mut self, _sealed: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

fn invalid(error: SaslError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
