//! SOCKS 4, 4a and 5: the client's side of the dialogue, without I/O.
//!
//! A [`Client`] is one dialogue: it says what is to be sent and how many bytes may be read, and is
//! told what was sent and what came. It never wants a byte beyond the dialogue, since those that
//! follow are the target's own. It has fixed buffers and uses no heap, so that it can live where
//! nothing may be allocated.
//!
//! ```
//! use std::net::SocketAddr;
//! use socks_proto::{Bound, Client, Progress, Target, Version};
//!
//! let target = Target::Name { host: "pmcd.example.com", port: 44321 };
//! let mut client = Client::new(Version::V5, &target, "", None).unwrap();
//! assert_eq!(client.outgoing(), [5, 1, 0]);
//! client.sent(3);
//! assert_eq!(client.wanted(), 2);
//! assert_eq!(client.received(&[5, 0]), Ok(Progress::More));
//!
//! client.sent(client.outgoing().len());
//! assert_eq!(client.received(&[5, 0, 0, 1, 10, 0, 0]), Ok(Progress::More));
//! let bound: SocketAddr = "10.0.0.1:1080".parse().unwrap();
//! let connected = Progress::Connected(Bound::Address(bound));
//! assert_eq!(client.received(&[1, 4, 56]), Ok(connected));
//! ```
//!
//! Layouts are those of RFC 1928 (SOCKS 5), RFC 1929 (its user name and password), and of the memos
//! "SOCKS: A protocol for TCP proxy across firewalls" and "SOCKS 4A: A simple extension to SOCKS 4
//! protocol".

#![forbid(unsafe_code)]

mod bound;
mod client;
#[cfg(test)]
mod client_tests;
mod error;
mod heard;
mod outbox;
#[cfg(test)]
mod property_tests;
mod reply;
mod target;
mod v4;
mod v5;
mod version;

pub use bound::{Bound, BoundName};
pub use client::{Client, Progress};
pub use error::{DialogueError, RequestError};
pub use reply::{Reply4, Reply5};
pub use target::{Credentials, Target};
pub use version::{UnknownVersion, Version};

/// The TCP port of a SOCKS server, unless told otherwise.
pub const DEFAULT_PORT: u16 = 1080;

/// The longest name, login, user name or password, in bytes: SOCKS 5 has one byte for their lengths.
/// SOCKS 4 ends them with a zero byte, and here they are bounded all the same.
pub const MAX_TEXT: usize = 255;
