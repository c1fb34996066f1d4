//! Looks at the heads of PDUs as they pass: holds clients to the limit on lengths, and stops looking
//! when TLS begins.

use gate::dial::Turn;
use gate::relay::{Inspector, Side, Verdict};
use pcp_proto::{Creds, Features, LengthError, PduHeader, PduLimit, PduType};

/// Watches what one client sends. What pmcd sends is not looked at: it comes from the host that the
/// client chose, and is as long as the answer is.
#[derive(Debug)]
pub(crate) struct PduInspector {
    limit: PduLimit,
    credentials: Credentials,
    /// Lasts until pmcd has greeted the client.
    turn: Turn,
}

/// How far the client is with asking for a secure channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials {
    /// It has not sent its CREDS.
    Awaited,
    /// They ask for a secure channel: what follows should be TLS.
    Secure,
    /// They are through, and no secure channel was asked for.
    Plain,
}

/// The first bytes of a TLS handshake record (RFC 8446, section 5.1). As the length of a PDU they
/// would mean 352 MiB.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// The length and the type of a PDU.
const LENGTH_AND_TYPE: usize = 8;

impl PduInspector {
    pub(crate) fn new(limit: PduLimit, turn: Turn) -> PduInspector {
        PduInspector {
            limit,
            credentials: Credentials::Awaited,
            turn,
        }
    }

    fn inspect_request(&mut self, head: &[u8]) -> Verdict<LengthError> {
        let Some(length) = head.first_chunk::<4>() else {
            return Verdict::Want(4);
        };
        if self.credentials == Credentials::Secure && head.starts_with(&TLS_HANDSHAKE) {
            return Verdict::PassAll;
        }
        let length = match self.limit.check(u32::from_be_bytes(*length)) {
            Ok(length) => length,
            Err(error) => return Verdict::End(error),
        };
        if self.credentials == Credentials::Awaited {
            let wanted = match pdu_type(head) {
                None => LENGTH_AND_TYPE,
                Some(PduType::CREDS) => Creds::HEAD.min(length as usize),
                Some(_) => 0,
            };
            if head.len() < wanted {
                return Verdict::Want(wanted);
            }
            if pdu_type(head) == Some(PduType::CREDS) {
                let secure = Creds::asks_for(head, Features::SECURE);
                self.credentials = if secure {
                    Credentials::Secure
                } else {
                    Credentials::Plain
                };
            }
        }
        Verdict::Pass(length.into())
    }
}

fn pdu_type(head: &[u8]) -> Option<PduType> {
    let bytes = head.get(4..LENGTH_AND_TYPE)?.first_chunk()?;
    Some(PduType(u32::from_be_bytes(*bytes)))
}

impl Inspector for PduInspector {
    type Refusal = LengthError;

    fn inspect(&mut self, side: Side, head: &[u8]) -> Verdict<LengthError> {
        match side {
            Side::Client => self.inspect_request(head),
            Side::Server if head.is_empty() => Verdict::Want(1),
            Side::Server => {
                self.turn = Turn::default();
                Verdict::PassAll
            }
        }
    }
}

const _: () = assert!(Creds::HEAD <= gate::relay::MAX_HEAD && PduHeader::SIZE >= LENGTH_AND_TYPE);

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::{Pdu, VersionCred};

    fn inspector() -> PduInspector {
        PduInspector::new(PduLimit::DEFAULT, Turn::default())
    }

    fn creds(features: Features) -> Vec<u8> {
        Creds {
            versions: vec![VersionCred {
                version: 2,
                features,
            }],
        }
        .encode(1)
    }

    fn see(inspector: &mut PduInspector, head: &[u8]) -> Verdict<LengthError> {
        inspector.inspect(Side::Client, head)
    }

    #[test]
    fn a_pdu_is_held_to_the_limit_by_its_first_four_bytes() {
        let mut inspector = inspector();
        assert_eq!(see(&mut inspector, &[]), Verdict::Want(4));
        assert_eq!(see(&mut inspector, &[0, 1, 0]), Verdict::Want(4));
        let too_long = LengthError::TooLong {
            len: 0x10001,
            limit: 0x10000,
        };
        assert_eq!(see(&mut inspector, &[0, 1, 0, 1]), Verdict::End(too_long));
        assert_eq!(
            see(&mut inspector, &[0, 0, 0, 0]),
            Verdict::End(LengthError::TooShort { len: 0 })
        );
    }

    #[test]
    fn looking_stops_only_when_tls_begins_after_it_was_asked_for() {
        let tls = [0x16, 0x03, 0x01, 0x02, 0x00];
        let mut plain = inspector();
        assert!(matches!(see(&mut plain, &tls), Verdict::End(_)));
        assert_eq!(
            see(&mut plain, &creds(Features::HIGHRES)),
            Verdict::Pass(20)
        );
        assert!(matches!(see(&mut plain, &tls), Verdict::End(_)));

        let mut secure = inspector();
        assert_eq!(
            see(&mut secure, &creds(Features::SECURE)),
            Verdict::Pass(20)
        );
        assert_eq!(see(&mut secure, &tls), Verdict::PassAll);
    }

    #[test]
    fn a_client_that_asks_for_tls_and_goes_on_without_is_still_held_to_the_limit() {
        let mut inspector = inspector();
        see(&mut inspector, &creds(Features::SECURE));
        assert!(matches!(
            see(&mut inspector, &[0x7f, 0xff, 0xff, 0xff]),
            Verdict::End(_)
        ));
        assert_eq!(see(&mut inspector, &[0, 0, 0, 16]), Verdict::Pass(16));
    }

    #[test]
    fn credentials_are_awaited_whole() {
        let mut inspector = inspector();
        let pdu = creds(Features::SECURE);
        assert_eq!(see(&mut inspector, &pdu[..4]), Verdict::Want(8));
        assert_eq!(see(&mut inspector, &pdu[..8]), Verdict::Want(20));
        assert_eq!(see(&mut inspector, &pdu[..19]), Verdict::Want(20));
        assert_eq!(see(&mut inspector, &pdu), Verdict::Pass(20));
    }

    #[test]
    fn short_credentials_are_passed_as_they_are() {
        let pdu = [0, 0, 0, 12, 0, 0, 0x70, 0x0c, 0, 0, 0, 0];
        assert_eq!(see(&mut inspector(), &pdu), Verdict::Pass(12));
    }

    #[test]
    fn answers_are_not_looked_at_beyond_the_first_byte() {
        let mut inspector = inspector();
        assert_eq!(inspector.inspect(Side::Server, &[]), Verdict::Want(1));
        assert_eq!(inspector.inspect(Side::Server, &[0]), Verdict::PassAll);
    }
}
