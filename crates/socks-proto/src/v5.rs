//! SOCKS 5 on the wire: the choice of a method, user name and password, the request and its reply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::MAX_TEXT;
use crate::bound::{Bound, BoundName};
use crate::error::{DialogueError, RequestError};
use crate::heard::{Answer, Heard, at};
use crate::outbox::{Message, Outbox};
use crate::reply::Reply5;
use crate::target::{Checked, Credentials, Target};

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const RESERVED: u8 = 0;

/// Methods of authentication (RFC 1928, section 3).
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

/// The version of RFC 1929, which has its own count.
const AUTHENTICATION_VERSION: u8 = 1;
const AUTHENTICATED: u8 = 0;

/// Types of addresses (RFC 1928, section 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The length of the answers to the offer of methods, and to user name and password.
pub(crate) const SHORT_ANSWER: usize = 2;

/// What a reply has before the address: version, code, a reserved byte and the type of the address.
const REPLY_HEAD: usize = 4;
const PORT: usize = 2;

/// The shortest reply, whose address is a name of no bytes. So much can be read before the type of
/// the address is known.
pub(crate) const MIN_REPLY: usize = REPLY_HEAD + 1 + PORT;

/// The longest reply, whose address is a name.
pub(crate) const MAX_REPLY: usize = MIN_REPLY + MAX_TEXT;

/// The most that is sent: the offer of two methods, user name and password, a request with a name.
pub(crate) const MAX_SENT: usize =
    (2 + 2) + (3 + MAX_TEXT + MAX_TEXT) + (REPLY_HEAD + 1 + MAX_TEXT + PORT);

/// What the server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    NoAuthentication,
    UserAndPassword,
}

/// Puts the offer of methods into the outbox.
pub(crate) fn offer(outbox: &mut Outbox, with_password: bool) -> Message {
    if with_password {
        outbox.put(&[&[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD]])
    } else {
        outbox.put(&[&[VERSION, 1, NO_AUTHENTICATION]])
    }
}

/// Puts user name and password into the outbox.
pub(crate) fn authentication(
    outbox: &mut Outbox,
    credentials: &Credentials<'_>,
) -> Result<Message, RequestError> {
    let Credentials { user, password } = credentials;
    let user_length = length(user).ok_or(RequestError::UserLength(user.len()))?;
    let password_length = length(password).ok_or(RequestError::PasswordLength(password.len()))?;
    Ok(outbox.put(&[
        &[AUTHENTICATION_VERSION, user_length],
        user.as_bytes(),
        &[password_length],
        password.as_bytes(),
    ]))
}

/// 1 to 255.
fn length(text: &str) -> Option<u8> {
    u8::try_from(text.len()).ok().filter(|length| *length > 0)
}

/// Puts the request into the outbox.
pub(crate) fn request(outbox: &mut Outbox, target: &Target<'_>) -> Result<Message, RequestError> {
    let port = target.port().to_be_bytes();
    let head = |kind| [VERSION, CONNECT, RESERVED, kind];
    Ok(match target.checked()? {
        Checked::Address(IpAddr::V4(address)) => {
            outbox.put(&[&head(IPV4), &address.octets(), &port])
        }
        Checked::Address(IpAddr::V6(address)) => {
            outbox.put(&[&head(IPV6), &address.octets(), &port])
        }
        Checked::Name(name) => {
            let length = length(name).ok_or(RequestError::NameTooLong(name.len()))?;
            outbox.put(&[&head(NAME), &[length], name.as_bytes(), &port])
        }
    })
}

/// Reads which method the server chose.
pub(crate) fn method(bytes: &[u8], password_was_offered: bool) -> Answer<Method> {
    match *bytes {
        [found, ..] if found != VERSION => Err(DialogueError::BadVersion {
            expected: VERSION,
            found,
        }),
        [_, NO_AUTHENTICATION, ..] => Ok(Heard::Whole(Method::NoAuthentication)),
        [_, USER_AND_PASSWORD, ..] if password_was_offered => {
            Ok(Heard::Whole(Method::UserAndPassword))
        }
        [_, NONE_ACCEPTABLE, ..] => Err(DialogueError::NoAcceptableMethod),
        [_, other, ..] => Err(DialogueError::UnofferedMethod(other)),
        _ => Ok(Heard::Missing(SHORT_ANSWER - bytes.len())),
    }
}

/// Reads whether user name and password are right.
pub(crate) fn authenticated(bytes: &[u8]) -> Answer<()> {
    match *bytes {
        // Some servers begin with the version of SOCKS, and clients have got used to it.
        [found, ..] if ![AUTHENTICATION_VERSION, VERSION].contains(&found) => {
            Err(DialogueError::ChangedVersion {
                expected: AUTHENTICATION_VERSION,
                found,
            })
        }
        [_, AUTHENTICATED, ..] => Ok(Heard::Whole(())),
        [_, status, ..] => Err(DialogueError::AuthenticationFailed(status)),
        _ => Ok(Heard::Missing(SHORT_ANSWER - bytes.len())),
    }
}

/// Reads the reply to the request.
pub(crate) fn reply(bytes: &[u8]) -> Answer<Bound> {
    match *bytes {
        [found, ..] if found != VERSION => Err(DialogueError::ChangedVersion {
            expected: VERSION,
            found,
        }),
        [_, code, ..] if code != Reply5::SUCCEEDED => {
            Err(DialogueError::Refused5(Reply5::from_code(code)))
        }
        [_, _, _, kind, ref rest @ ..] => bound(kind, rest),
        _ => Ok(Heard::Missing(MIN_REPLY - bytes.len())),
    }
}

/// Reads the address at the end of a reply, and its port.
fn bound(kind: u8, bytes: &[u8]) -> Answer<Bound> {
    let whole = match kind {
        IPV4 => fixed::<4>(bytes).map(|(octets, port)| at(Ipv4Addr::from(octets), port)),
        IPV6 => fixed::<16>(bytes).map(|(octets, port)| at(Ipv6Addr::from(octets), port)),
        NAME => name(bytes),
        other => return Err(DialogueError::UnknownAddressType(other)),
    };
    let length = match (kind, bytes.first()) {
        (IPV4, _) => 4 + PORT,
        (IPV6, _) => 16 + PORT,
        (_, Some(length)) => 1 + usize::from(*length) + PORT,
        (_, None) => 1 + PORT,
    };
    Ok(whole.map_or_else(|| Heard::Missing(length - bytes.len()), Heard::Whole))
}

/// An address of a fixed length and a port.
fn fixed<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; 2])> {
    let (address, rest) = bytes.split_first_chunk()?;
    Some((*address, *rest.first_chunk()?))
}

/// The length of a name, the name and a port.
fn name(bytes: &[u8]) -> Option<Bound> {
    let (length, rest) = bytes.split_first()?;
    let (host, rest) = rest.split_at_checked(usize::from(*length))?;
    let port = u16::from_be_bytes(*rest.first_chunk()?);
    BoundName::new(host, port).map(Bound::Name)
}
