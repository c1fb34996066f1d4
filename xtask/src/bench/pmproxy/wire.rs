//! What passes between load generator and stub server: the opening of a session with pmcd, then
//! requests and replies that are PDUs in shape, so that a proxy that checks lengths passes them on.
//! A request says how long its reply is to be.

use pcp_proto::{
    Creds, ErrorPdu, Features, PDU_VERSION, Pdu, PduHeader, PduType, Status, VersionCred,
};

/// Size of a request, in bytes.
pub(super) const REQUEST: usize = 60;

/// The largest reply that the stub server gives, in bytes.
pub(super) const MAX_REPLY: u32 = 1 << 20;

/// What a client that wants TLS asks for, and the stub server offers.
const TLS: u16 = Features::SECURE.0 | Features::SECURE_ACK.0;

/// What the stub server says first, as a pmcd that has a certificate does. It tells the client that
/// the proxy has reached the server: PCP's own pmproxy loses what a client sends sooner.
pub(super) fn welcome() -> Vec<u8> {
    ErrorPdu::Extended {
        status: Status::OK,
        version: PDU_VERSION,
        features: Features(TLS),
    }
    .encode(0)
}

/// What a client says first, as those of PCP do; some proxies insist on it.
pub(super) fn credentials(with_tls: bool) -> Vec<u8> {
    let cred = VersionCred {
        version: PDU_VERSION,
        features: Features(if with_tls { TLS } else { 0 }),
    };
    Creds {
        versions: vec![cred],
    }
    .encode(0)
}

/// What the stub server says to credentials that ask for TLS, before the handshake.
pub(super) fn acknowledgement() -> Vec<u8> {
    ErrorPdu::Plain(Status::OK).encode(0)
}

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
    fn a_session_opens_with_the_pdus_that_proxies_know() {
        assert_eq!(ErrorPdu::decode(&welcome()).unwrap().status(), Status::OK);
        for with_tls in [false, true] {
            let credentials = credentials(with_tls);
            assert_eq!(credentials.len(), Creds::HEAD);
            assert_eq!(Creds::asks_for(&credentials, Features::SECURE), with_tls);
        }
        assert_eq!(
            ErrorPdu::decode(&acknowledgement()),
            Ok(ErrorPdu::Plain(Status::OK))
        );
    }

    #[test]
    fn what_is_no_request_gets_no_reply() {
        assert_eq!(wanted_reply(&[0; REQUEST]), None);
        assert_eq!(wanted_reply(&request(11)), None);
        assert_eq!(wanted_reply(&request(MAX_REPLY + 1)), None);
    }
}
