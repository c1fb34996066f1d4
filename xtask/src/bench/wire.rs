//! The requests and replies of the benchmark: PDUs in shape, so that a proxy that checks lengths
//! passes them on. A request says how long its reply is to be.

use pcp_proto::{PduHeader, PduType};

/// Size of a request, in bytes.
pub(super) const REQUEST: usize = 60;

/// The largest reply that the stub server gives, in bytes.
pub(super) const MAX_REPLY: u32 = 1 << 20;

/// A request for a reply of `reply` bytes.
pub(super) fn request(reply: u32) -> [u8; REQUEST] {
    let header = PduHeader {
        len: 60,
        pdu_type: PduType::FETCH,
        from: 0,
    };
    let mut bytes = [0; REQUEST];
    bytes[..PduHeader::SIZE].copy_from_slice(&header.encode());
    bytes[PduHeader::SIZE..][..4].copy_from_slice(&reply.to_be_bytes());
    bytes
}

/// How long a reply the request asks for, if it is one of ours.
pub(super) fn wanted_reply(request: &[u8; REQUEST]) -> Option<u32> {
    let wanted = u32::from_be_bytes([request[12], request[13], request[14], request[15]]);
    let fits = (12..=MAX_REPLY).contains(&wanted);
    (fits && *request == self::request(wanted)).then_some(wanted)
}

/// The head of a reply of `reply` bytes; the rest of it is zeros.
pub(super) fn reply_head(reply: u32) -> [u8; PduHeader::SIZE] {
    PduHeader {
        len: reply,
        pdu_type: PduType::RESULT,
        from: 0,
    }
    .encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_states_its_own_length_and_that_of_its_reply() {
        let bytes = request(1200);
        assert_eq!(PduHeader::decode(&bytes).unwrap().len, 60);
        assert_eq!(wanted_reply(&bytes), Some(1200));
        assert_eq!(PduHeader::decode(&reply_head(1200)).unwrap().len, 1200);
    }

    #[test]
    fn what_is_no_request_gets_no_reply() {
        assert_eq!(wanted_reply(&[0; REQUEST]), None);
        assert_eq!(wanted_reply(&request(11)), None);
        assert_eq!(wanted_reply(&request(MAX_REPLY + 1)), None);
    }
}
