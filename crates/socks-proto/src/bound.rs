//! The address that a server says it is bound to.

use std::fmt;
use std::net::SocketAddr;

use crate::MAX_TEXT;

/// What a server says of its own end of the connection to the target. Many say 0.0.0.0:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a client may have to do without the heap"
)]
pub enum Bound {
    /// An address.
    Address(SocketAddr),
    /// A name: SOCKS 5 allows it.
    Name(BoundName),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Address(address) => address.fmt(f),
            Bound::Name(name) => write!(f, "{}:{}", name.host().escape_ascii(), name.port()),
        }
    }
}

/// A name in the words of the server: any bytes, even none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BoundName {
    /// Zero beyond the name.
    bytes: [u8; MAX_TEXT],
    length: u8,
    port: u16,
}

impl BoundName {
    /// `None` if it is longer than a name can be.
    pub(crate) fn new(host: &[u8], port: u16) -> Option<BoundName> {
        let length = u8::try_from(host.len()).ok()?;
        let mut bytes = [0; MAX_TEXT];
        bytes.get_mut(..host.len())?.copy_from_slice(host);
        Some(BoundName {
            bytes,
            length,
            port,
        })
    }

    /// The name itself.
    pub fn host(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Debug for BoundName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundName")
            .field("host", &format_args!("{}", self.host().escape_ascii()))
            .field("port", &self.port)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_name_is_shown_without_control_characters() {
        let name = BoundName::new(b"fire\x1b[wall", 7).unwrap();
        assert_eq!(name.host(), b"fire\x1b[wall");
        assert_eq!(Bound::Name(name).to_string(), r"fire\x1b[wall:7");
        assert!(format!("{name:?}").contains(r"fire\x1b[wall"));
    }

    #[test]
    fn a_name_has_room_for_what_one_byte_can_count() {
        assert_eq!(BoundName::new(&[b'a'; 255], 1).unwrap().host(), [b'a'; 255]);
        assert_eq!(BoundName::new(&[b'a'; 256], 1), None);
    }
}
