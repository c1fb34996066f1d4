//! Secure channels: TLS in front of a session and behind it, by rustls. It knows no protocol inside
//! the channel.
//!
//! A handshake is made in the runtime, by [`accept`] or [`connect`]; what comes of it is a stream for
//! as long as a session's opening words are exchanged, and then a [`Channel`] on a leg of the relay.

mod channel;
mod handshake;
mod link;

pub use channel::{Channel, Opened};
pub use handshake::{SecureStream, accept, connect};
pub use link::Link;
