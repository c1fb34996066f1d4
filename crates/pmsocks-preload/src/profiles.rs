//! What libpcp sends in two parts: before it asks for values it says which instances it wants, in a
//! PROFILE, which nobody answers. A SOCKS server that gets the two one after the other passes the
//! first on, and its kernel may then keep the second until the first is acknowledged: for 40 ms, if
//! the server has left Nagle's algorithm on, as microsocks has. So a PROFILE stays in our kernel until
//! there is something behind it, or for 200 ms (tcp(7), TCP_CORK).

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

/// The type of the PDU (`PDU_PROFILE` in PCP's libpcp.h).
const PROFILE: u32 = 0x7002;

/// Whether libpcp has connected through a SOCKS server here.
static EXPECTED: AtomicBool = AtomicBool::new(false);

/// From now on there may be one among what libpcp sends.
pub(crate) fn expect() {
    EXPECTED.store(true, Ordering::Relaxed);
}

/// Whether there may be one among what libpcp sends.
pub(crate) fn may_come() -> bool {
    EXPECTED.load(Ordering::Relaxed)
}

/// What is to be added to the flags for sending this.
pub(crate) fn flags(bytes: &[u8]) -> c_int {
    if is_profile(bytes) { libc::MSG_MORE } else { 0 }
}

/// A PDU begins with its length and its type, in the network's byte order.
fn is_profile(bytes: &[u8]) -> bool {
    let word = |at: usize| {
        let word = bytes.get(at..at + 4)?;
        word.try_into().ok().map(u32::from_be_bytes)
    };
    word(4) == Some(PROFILE) && word(0).is_some_and(|length| length as usize == bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PDU that claims this length and type.
    fn pdu(length: u32, kind: u32) -> Vec<u8> {
        let mut bytes = [length.to_be_bytes(), kind.to_be_bytes()].concat();
        bytes.resize(28, 0);
        bytes
    }

    #[test]
    fn a_whole_profile_is_one() {
        assert!(is_profile(&pdu(28, PROFILE)));
    }

    #[test]
    fn nothing_else_is() {
        for bytes in [pdu(28, 0x7003), pdu(29, PROFILE), pdu(0, PROFILE)] {
            assert!(!is_profile(&bytes));
        }
        let whole = pdu(28, PROFILE);
        for length in 0..whole.len() {
            assert!(!is_profile(&whole[..length]));
        }
    }
}
