//! A secure channel without its socket: bytes of the network go in, bytes of the protocol inside come
//! out, and the other way round.

mod layered;
#[cfg(test)]
pub(crate) mod testing;

use std::{fmt, io};

pub use layered::Layered;

/// The most bytes that a channel may keep inside, of records that have not come whole.
pub const MAX_INSIDE: usize = 128 * 1024;

/// A secure channel whose handshake is done: TLS, or the security layer of SASL.
///
/// It is a peer's partner on one connection, so its calls come in the order of the stream.
pub trait Channel: Send + fmt::Debug {
    /// Takes bytes of the network and puts what is inside them into `plain`, which has room for
    /// [`MAX_INSIDE`] more than they are. The start of a record that has not come whole stays inside.
    /// The first call may bring no bytes, and gives what came along with the handshake.
    ///
    /// # Errors
    /// When the bytes are not what the peer sealed. There may then be an
    /// [answer](Channel::has_answer) that tells it why.
    fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> io::Result<Opened>;

    /// Seals `plain` in records of its own, none if it is empty, and appends them to `sealed`.
    ///
    /// # Errors
    /// When the channel can seal nothing more.
    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> io::Result<()>;

    /// Appends the word that nothing more will come to `sealed`, if the channel has one.
    ///
    /// # Errors
    /// When the channel can seal nothing more.
    fn close(&mut self, sealed: &mut Vec<u8>) -> io::Result<()>;

    /// Whether the peer is to be sent something that the channel itself has to say.
    fn has_answer(&self) -> bool {
        false
    }

    /// Appends what the channel itself has to say to `sealed`.
    ///
    /// # Errors
    /// When the channel can seal nothing more.
    fn take_answer(&mut self, _sealed: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

/// What came out of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// So many bytes lie in the buffer.
    pub len: usize,
    /// The peer has said that it sends nothing more.
    pub closed: bool,
}
