//! SOCKS 4 and 4a on the wire: one request and one reply.

use std::net::{IpAddr, Ipv4Addr};

use crate::MAX_TEXT;
use crate::bound::Bound;
use crate::error::{DialogueError, RequestError};
use crate::heard::{Answer, Heard, at};
use crate::outbox::{Message, Outbox};
use crate::reply::Reply4;
use crate::target::{Checked, Target};
use crate::version::Version;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;

/// The version of replies.
const REPLY_VERSION: u8 = 0;

/// The length of a reply: version, code, port and address.
pub(crate) const REPLY: usize = 8;

/// The longest request: version, command, port, address, login, name, and their zero bytes.
pub(crate) const MAX_SENT: usize = 8 + MAX_TEXT + 1 + MAX_TEXT + 1;

/// The address by which a request of SOCKS 4a tells that a name follows.
const A_NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// Puts the request into the outbox. `version` is 4 or 4a.
pub(crate) fn request(
    outbox: &mut Outbox,
    version: Version,
    target: &Target<'_>,
    login: &str,
) -> Result<Message, RequestError> {
    check_login(login)?;
    let (address, name) = match target.checked()? {
        Checked::Address(IpAddr::V4(address)) => (plain(address)?, None),
        Checked::Address(IpAddr::V6(_)) => return Err(RequestError::Ipv6Unsupported(version)),
        Checked::Name(_) if version == Version::V4 => return Err(RequestError::NameUnsupported),
        Checked::Name(name) => (A_NAME_FOLLOWS, Some(name)),
    };
    let [name, end]: [&[u8]; 2] = name.map_or([&[], &[]], |name| [name.as_bytes(), &[0]]);
    Ok(outbox.put(&[
        &[VERSION, CONNECT],
        &target.port().to_be_bytes(),
        &address.octets(),
        login.as_bytes(),
        &[0],
        name,
        end,
    ]))
}

fn check_login(login: &str) -> Result<(), RequestError> {
    if login.len() > MAX_TEXT {
        return Err(RequestError::LoginTooLong(login.len()));
    }
    if login.bytes().any(|byte| byte == 0) {
        return Err(RequestError::LoginWithNul);
    }
    Ok(())
}

/// An address after which a server that knows 4a does not wait for a name.
fn plain(address: Ipv4Addr) -> Result<Ipv4Addr, RequestError> {
    match address.octets() {
        [0, 0, 0, 1..=u8::MAX] => Err(RequestError::ReservedAddress(address)),
        _ => Ok(address),
    }
}

/// Reads the reply to the request.
pub(crate) fn reply(bytes: &[u8]) -> Answer<Bound> {
    match *bytes {
        [found, ..] if found != REPLY_VERSION => Err(DialogueError::BadVersion {
            expected: REPLY_VERSION,
            found,
        }),
        [_, code, ..] if code != Reply4::GRANTED => {
            Err(DialogueError::Refused4(Reply4::from_code(code)))
        }
        [_, _, port1, port2, a, b, c, d, ..] => {
            let bound = at(Ipv4Addr::new(a, b, c, d), [port1, port2]);
            Ok(Heard::Whole(bound))
        }
        _ => Ok(Heard::Missing(REPLY - bytes.len())),
    }
}
