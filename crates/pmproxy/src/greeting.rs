//! The words that only clients and pmproxy exchange: the greeting, the line with host and port, and
//! the farewell to a client that is not served.

use std::sync::Arc;
use std::time::Duration;

use gate::tls::Link;
use pcp_proto::greeting::{
    CLIENT_HELLO, MAX_TARGET_LINE, SERVER_HELLO, Target, parse_client_hello, parse_target,
};
use pcp_proto::{ErrorPdu, Pdu};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::refusal::{HandshakeError, Refusal};

/// Room for the greeting, the line with host and port, and first PDUs that come along with them.
const ROOM: usize = 2 * (CLIENT_HELLO.len() + MAX_TARGET_LINE);

/// The type of the record with which a TLS client begins (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A client that was told why it is not served has this long to take note, so that closing does not
/// overtake the message.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client may still send meanwhile, in bytes.
const FAREWELL_BYTES: usize = 64 * 1024;

/// Reads the greeting and the line with host and port, and answers in between. A client that begins
/// with TLS gets a secure channel by `config` first. Gives what the client sent beyond.
pub(crate) async fn greet(
    link: &mut Link,
    config: Option<&Arc<ServerConfig>>,
) -> Result<(Target, Vec<u8>), Refusal> {
    let mut received = Vec::with_capacity(ROOM);
    receive(link, &mut received).await?;
    if received.first() == Some(&TLS_HANDSHAKE) {
        let config = config.ok_or(Refusal::NoCertificate)?;
        let shaken = link.accept(&received, Arc::clone(config)).await;
        shaken.map_err(|error| Refusal::Insecure(HandshakeError(error)))?;
        received.clear();
    }
    let hello = loop {
        if let Some(length) = parse_client_hello(&received)? {
            break length;
        }
        receive(link, &mut received).await?;
    };
    link.write_all(SERVER_HELLO).await?;
    link.flush().await?;
    received.drain(..hello);
    loop {
        if let Some((target, length)) = parse_target(&received)? {
            received.drain(..length);
            return Ok((target, received));
        }
        receive(link, &mut received).await?;
    }
}

/// Reads what has come, as far as there is room; the parsers give up before it is full.
async fn receive(link: &mut Link, received: &mut Vec<u8>) -> Result<(), Refusal> {
    let room = ROOM.saturating_sub(received.len()) as u64;
    match link.take(room).read_buf(received).await? {
        0 => Err(Refusal::Left),
        _ => Ok(()),
    }
}

/// Tells a client that waits for its pmcd why it will not get one, and closes. It does so promptly:
/// a client with several ports to try goes on to the next.
pub(crate) async fn tell(mut link: Link, answer: ErrorPdu) {
    let farewell = async {
        link.write_all(&answer.encode(0)).await?;
        link.shutdown().await?;
        // Closing with bytes unread would reset the connection, and the message might be lost.
        let mut ignored = [0; 1024];
        let mut left = FAREWELL_BYTES;
        while left > 0 {
            match link.read(&mut ignored).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        std::io::Result::Ok(())
    };
    // A client that has gone needs no answer.
    let _ = timeout(FAREWELL, farewell).await;
}
