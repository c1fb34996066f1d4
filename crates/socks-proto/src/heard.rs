//! What is made of the bytes of an answer that have come so far.

use std::net::{IpAddr, SocketAddr};

use crate::bound::Bound;
use crate::error::DialogueError;

/// An answer, or how much of it is still to come. Errors are told at the first byte that cannot be
/// right, so that they are the same however the bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<T> {
    /// At least so many bytes, and never 0.
    Missing(usize),
    Whole(T),
}

pub(crate) type Answer<T> = Result<Heard<T>, DialogueError>;

pub(crate) fn at(ip: impl Into<IpAddr>, port: [u8; 2]) -> Bound {
    Bound::Address(SocketAddr::new(ip.into(), u16::from_be_bytes(port)))
}
