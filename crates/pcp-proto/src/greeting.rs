//! The lines that open a session with pmproxy, before any PDU.
//!
//! The client sends [`CLIENT_HELLO`], pmproxy answers [`SERVER_HELLO`], and the client names the
//! pmcd that it wants: `HOST PORT` and a newline. A careless client may send all of it at once, and
//! its first PDUs with it. Both parsers look at all bytes that have come so far and say how many of
//! them they took; they refuse as soon as a byte cannot be right.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;

/// What a client sends first.
pub const CLIENT_HELLO: &[u8] = b"pmproxy-client 1\n";

/// What pmproxy answers.
pub const SERVER_HELLO: &[u8] = b"pmproxy-server 1\n";

/// The longest name that the domain name system allows, in bytes (RFC 1035, section 2.3.4), with
/// room for the brackets of an address and the zone of a link-local one.
pub const MAX_HOST: usize = 255;

/// The longest line with a host and a port, in bytes, the newline included.
pub const MAX_TARGET_LINE: usize = MAX_HOST + " 65535\r\n".len();

/// The pmcd that a client asks for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    host: Box<str>,
    port: NonZeroU16,
}

impl Target {
    /// A target, if `host` is a possible host name or address: see [`TargetError`].
    ///
    /// # Errors
    /// [`TargetError`] when it is not.
    pub fn new(host: &str, port: NonZeroU16) -> Result<Target, TargetError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if bare.is_empty() {
            return Err(TargetError::NoHost);
        }
        if bare.len() > MAX_HOST {
            return Err(TargetError::LongHost);
        }
        if !is_host(bare) {
            return Err(TargetError::BadHost);
        }
        Ok(Target {
            host: bare.into(),
            port,
        })
    }

    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    /// The line in which a client names this target.
    pub fn to_line(&self) -> Vec<u8> {
        format!("{} {}\n", self.host, self.port).into_bytes()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names as resolvers take them (letters, digits, `-`, `_`, `.`; other scripts as UTF-8), or an
/// address.
fn is_host(host: &str) -> bool {
    let address = host.split('%').next().unwrap_or(host);
    if address.parse::<Ipv6Addr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return host.bytes().all(|byte| byte.is_ascii_graphic());
    }
    !host.starts_with('-')
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Why the first line is not pmproxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// A TLS handshake.
    #[error("it began a TLS handshake where a pmproxy greeting was expected")]
    Tls,
    /// An HTTP request.
    #[error("it sent an HTTP request where a pmproxy greeting was expected")]
    Http,
    /// A PDU: the client took pmproxy for a pmcd.
    #[error("it sent a PDU where a pmproxy greeting was expected (did it take this for a pmcd?)")]
    Pdu,
    /// Another version of the greeting.
    #[error("it speaks another version of the pmproxy protocol")]
    Version,
    /// Anything else.
    #[error("it did not send a pmproxy greeting")]
    Other,
}

/// Looks for the client's hello at the start of `bytes`; gives its length once it is complete.
///
/// # Errors
/// [`HelloError`] at the first byte that is wrong.
pub fn parse_client_hello(bytes: &[u8]) -> Result<Option<usize>, HelloError> {
    parse_hello(bytes, CLIENT_HELLO)
}

/// Looks for the server's hello at the start of `bytes`; gives its length once it is complete.
///
/// # Errors
/// [`HelloError`] at the first byte that is wrong.
pub fn parse_server_hello(bytes: &[u8]) -> Result<Option<usize>, HelloError> {
    parse_hello(bytes, SERVER_HELLO)
}

fn parse_hello(bytes: &[u8], hello: &[u8]) -> Result<Option<usize>, HelloError> {
    let text = &hello[..hello.len() - 1];
    let known = bytes.len().min(text.len());
    if bytes[..known] != text[..known] {
        return Err(not_a_hello(bytes, text));
    }
    match &bytes[known..] {
        [] | [b'\r'] => Ok(None),
        [b'\n', ..] => Ok(Some(text.len() + 1)),
        [b'\r', b'\n', ..] => Ok(Some(text.len() + 2)),
        _ => Err(HelloError::Version),
    }
}

fn not_a_hello(bytes: &[u8], text: &[u8]) -> HelloError {
    let common = bytes.iter().zip(text).take_while(|(a, b)| a == b).count();
    match bytes {
        _ if common > 0 && text[..common].ends_with(b" ") => HelloError::Version,
        [0x16, ..] => HelloError::Tls,
        [0, ..] => HelloError::Pdu,
        _ if is_http(bytes) => HelloError::Http,
        _ => HelloError::Other,
    }
}

fn is_http(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"DELETE ",
        b"CONNECT ",
    ];
    METHODS.iter().any(|method| bytes.starts_with(method))
}

/// Why the line with host and port is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No newline within [`MAX_TARGET_LINE`].
    #[error("the line with host and port is longer than {MAX_TARGET_LINE} bytes")]
    LongLine,
    /// A host of more than [`MAX_HOST`] bytes.
    #[error("the host name is longer than {MAX_HOST} bytes")]
    LongHost,
    /// Not UTF-8, or a byte that no line holds.
    #[error("the line with host and port is not text")]
    NotText,
    /// An empty line, or a port alone.
    #[error("the line names no host")]
    NoHost,
    /// No port after the host.
    #[error("the line names no port")]
    NoPort,
    /// Neither a name nor an address.
    #[error("the host is neither a name nor an address")]
    BadHost,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
}

/// Reads the line with host and port at the start of `bytes`; gives the target and the length of
/// the line once it is complete.
///
/// # Errors
/// [`TargetError`] as soon as the line cannot be right.
pub fn parse_target(bytes: &[u8]) -> Result<Option<(Target, usize)>, TargetError> {
    let line = &bytes[..bytes.len().min(MAX_TARGET_LINE)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return match line {
            _ if line.contains(&0) => Err(TargetError::NotText),
            _ if line.len() == MAX_TARGET_LINE => Err(TargetError::LongLine),
            _ => Ok(None),
        };
    };
    let text = std::str::from_utf8(&line[..end]).map_err(|_| TargetError::NotText)?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(TargetError::NotText);
    }
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let host = words.next().ok_or(TargetError::NoHost)?;
    let port = words.next().ok_or(TargetError::NoPort)?;
    if words.next().is_some() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::BadPort);
    }
    let port = port
        .parse::<NonZeroU16>()
        .map_err(|_| TargetError::BadPort)?;
    Ok(Some((Target::new(host, port)?, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(line: &str) -> Result<Option<(String, usize)>, TargetError> {
        parse_target(line.as_bytes()).map(|found| found.map(|(t, len)| (t.to_string(), len)))
    }

    #[test]
    fn the_hello_is_taken_byte_by_byte() {
        for end in 0..CLIENT_HELLO.len() {
            assert_eq!(parse_client_hello(&CLIENT_HELLO[..end]), Ok(None));
        }
        assert_eq!(parse_client_hello(CLIENT_HELLO), Ok(Some(17)));
        assert_eq!(
            parse_client_hello(b"pmproxy-client 1\r\nhost 1\n"),
            Ok(Some(18))
        );
    }

    #[test]
    fn what_is_not_a_hello_is_named() {
        assert_eq!(parse_client_hello(b"\x16\x03\x01"), Err(HelloError::Tls));
        assert_eq!(
            parse_client_hello(b"GET / HTTP/1.1\r\n"),
            Err(HelloError::Http)
        );
        assert_eq!(parse_client_hello(b"\0\0\0\x14"), Err(HelloError::Pdu));
        assert_eq!(
            parse_client_hello(b"pmproxy-client 2\n"),
            Err(HelloError::Version)
        );
        assert_eq!(
            parse_client_hello(b"pmproxy-client 11\n"),
            Err(HelloError::Version)
        );
        assert_eq!(
            parse_client_hello(b"pmproxy-server 1\n"),
            Err(HelloError::Other)
        );
        assert_eq!(parse_client_hello(b"hello"), Err(HelloError::Other));
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        assert_eq!(
            target("localhost 44321\n"),
            Ok(Some(("localhost:44321".into(), 16)))
        );
        assert_eq!(
            target("10.0.0.1 1\r\nrest"),
            Ok(Some(("10.0.0.1:1".into(), 12)))
        );
        assert_eq!(target("::1 44321\n"), Ok(Some(("[::1]:44321".into(), 10))));
        assert_eq!(
            target("[::1] 44321\n"),
            Ok(Some(("[::1]:44321".into(), 12)))
        );
        assert_eq!(
            target("fe80::1%eth0 1\n"),
            Ok(Some(("[fe80::1%eth0]:1".into(), 15)))
        );
        assert_eq!(
            target("büro.example 2\n"),
            Ok(Some(("büro.example:2".into(), 16)))
        );
    }

    #[test]
    fn a_line_that_cannot_be_right_is_refused() {
        assert_eq!(target("\n"), Err(TargetError::NoHost));
        assert_eq!(target("host\n"), Err(TargetError::NoPort));
        assert_eq!(target("host 0\n"), Err(TargetError::BadPort));
        assert_eq!(target("host 65536\n"), Err(TargetError::BadPort));
        assert_eq!(target("host -1\n"), Err(TargetError::BadPort));
        assert_eq!(target("host +1\n"), Err(TargetError::BadPort));
        assert_eq!(target("host 1 2\n"), Err(TargetError::BadPort));
        assert_eq!(target("host 1x\n"), Err(TargetError::BadPort));
        assert_eq!(target("ho/st 1\n"), Err(TargetError::BadHost));
        assert_eq!(target("-h 1\n"), Err(TargetError::BadHost));
        assert_eq!(target("ho\x1bst 1\n"), Err(TargetError::NotText));
        assert_eq!(parse_target(b"\xff\xfe 1\n"), Err(TargetError::NotText));
        assert_eq!(parse_target(&[0, 0, 0, 20]), Err(TargetError::NotText));
        let long = "h".repeat(MAX_HOST + 1);
        assert_eq!(target(&format!("{long} 1\n")), Err(TargetError::LongHost));
        assert_eq!(
            target(&"h".repeat(MAX_TARGET_LINE)),
            Err(TargetError::LongLine)
        );
        assert_eq!(target(&"h".repeat(MAX_TARGET_LINE - 1)), Ok(None));
    }

    proptest! {
        #[test]
        fn a_target_survives_the_wire_however_it_is_cut(
            host in "[a-z0-9_][a-z0-9_.-]{0,80}", port: NonZeroU16, cut in 0usize..90,
        ) {
            let wanted = Target::new(&host, port).unwrap();
            let line = wanted.to_line();
            if cut < line.len() {
                prop_assert_eq!(parse_target(&line[..cut]), Ok(None));
            }
            prop_assert_eq!(parse_target(&line), Ok(Some((wanted, line.len()))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_client_hello(&bytes);
            let _ = parse_target(&bytes);
        }
    }
}
