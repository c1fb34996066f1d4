//! Looks at the heads of PDUs as they pass: holds clients to the limit on lengths, counts PDUs by
//! type, and stops looking when TLS begins.

use std::ops::RangeInclusive;
use std::sync::Arc;

use gate::dial::Turn;
use gate::relay::{Inspector, Outbox, Side, Verdict};
use pcp_proto::{Creds, Features, LengthError, PduHeader, PduLimit, PduType};

use crate::pdu_tally::PduTally;

/// Watches one session. What pmcd sends is only counted: it comes from the host that the client
/// chose, and is as long as the answer is.
#[derive(Debug)]
pub(crate) struct PduInspector {
    limit: PduLimit,
    credentials: Credentials,
    inside_channel: bool,
    /// Lasts until pmcd has greeted the client.
    turn: Turn,
    counting: Counting,
}

/// Whether the session's PDUs are counted.
#[derive(Debug)]
enum Counting {
    Off,
    /// Once the session is in a loop of the relay.
    Wanted,
    In(Arc<PduTally>),
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

/// A reply whose first byte is this or more is no PDU, or one of 256 MiB: every TLS record begins
/// so, and every text. It is passed on at once, so that a server which speaks something else is not
/// kept waiting for the rest of a head.
const NO_LENGTH: u8 = 0x10;

/// What the type of a PDU can be; a newer pmcd may have more of them than have names here.
const TYPES: RangeInclusive<u32> = PduType::ERROR.0..=0x70ff;

impl PduInspector {
    /// Counts PDUs if `counted`; otherwise it looks at replies no longer than it has to.
    pub(crate) fn new(limit: PduLimit, turn: Turn, counted: bool) -> PduInspector {
        PduInspector {
            limit,
            credentials: Credentials::Awaited,
            inside_channel: false,
            turn,
            counting: if counted {
                Counting::Wanted
            } else {
                Counting::Off
            },
        }
    }

    /// The client's credentials went to pmcd before: no secure channel begins from here on.
    pub(crate) fn expect_no_credentials(&mut self) {
        self.credentials = Credentials::Plain;
    }

    /// The client is inside a secure channel that ends in pmproxy.
    pub(crate) fn enter_channel(&mut self) {
        self.inside_channel = true;
    }

    /// Whether the client is inside a secure channel, or has asked for one and soon will be.
    pub(crate) fn is_secure(&self) -> bool {
        self.inside_channel || self.credentials == Credentials::Secure
    }

    fn count(&self, side: Side, pdu_type: PduType) {
        if let Counting::In(tally) = &self.counting {
            tally.count(side, pdu_type);
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
        let awaiting_creds = self.credentials == Credentials::Awaited;
        if !awaiting_creds && matches!(self.counting, Counting::Off) {
            return Verdict::Pass(length.into());
        }
        let Some(pdu_type) = pdu_type(head) else {
            return Verdict::Want(LENGTH_AND_TYPE);
        };
        if awaiting_creds && pdu_type == PduType::CREDS {
            let wanted = Creds::HEAD.min(length as usize);
            if head.len() < wanted {
                return Verdict::Want(wanted);
            }
            let secure = Creds::asks_for(head, Features::SECURE);
            self.credentials = if secure {
                Credentials::Secure
            } else {
                Credentials::Plain
            };
        }
        self.count(Side::Client, pdu_type);
        Verdict::Pass(length.into())
    }

    fn inspect_reply(&mut self, head: &[u8]) -> Verdict<LengthError> {
        let Some(&first) = head.first() else {
            return Verdict::Want(1);
        };
        self.turn = Turn::default();
        if matches!(self.counting, Counting::Off) || first >= NO_LENGTH {
            return Verdict::PassAll;
        }
        let (Some(length), Some(pdu_type)) = (head.first_chunk::<4>(), pdu_type(head)) else {
            return Verdict::Want(LENGTH_AND_TYPE);
        };
        let length = u32::from_be_bytes(*length);
        if (length as usize) < PduHeader::SIZE || !TYPES.contains(&pdu_type.0) {
            return Verdict::PassAll;
        }
        self.count(Side::Server, pdu_type);
        Verdict::Pass(length.into())
    }
}

fn pdu_type(head: &[u8]) -> Option<PduType> {
    let bytes = head.get(4..LENGTH_AND_TYPE)?.first_chunk()?;
    Some(PduType(u32::from_be_bytes(*bytes)))
}

impl Inspector for PduInspector {
    type Refusal = LengthError;
    type Tally = PduTally;

    fn enter(&mut self, tally: &Arc<PduTally>) {
        if matches!(self.counting, Counting::Wanted) {
            self.counting = Counting::In(Arc::clone(tally));
        }
    }

    fn inspect(&mut self, side: Side, head: &[u8], _out: &mut Outbox) -> Verdict<LengthError> {
        match side {
            Side::Client => self.inspect_request(head),
            Side::Server => self.inspect_reply(head),
        }
    }
}

const _: () = assert!(Creds::HEAD <= gate::relay::MAX_HEAD && PduHeader::SIZE >= LENGTH_AND_TYPE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu_tally::PduCounts;
    use pcp_proto::{Pdu, VersionCred};

    /// One that looks no further than it has to.
    fn inspector() -> PduInspector {
        PduInspector::new(PduLimit::DEFAULT, Turn::default(), false)
    }

    /// One that counts, and its tally.
    fn counting() -> (PduInspector, Arc<PduTally>) {
        let (mut inspector, tally) = (
            PduInspector::new(PduLimit::DEFAULT, Turn::default(), true),
            Arc::default(),
        );
        inspector.enter(&tally);
        (inspector, tally)
    }

    /// What was counted.
    fn counts(tally: &PduTally, side: Side) -> Vec<(&'static str, u64)> {
        let counts = PduCounts::sum([tally].into_iter());
        counts.from(side).filter(|(_, count)| *count > 0).collect()
    }

    fn head(length: u32, pdu_type: u32) -> Vec<u8> {
        [length.to_be_bytes(), pdu_type.to_be_bytes(), [0; 4]].concat()
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
        inspector.inspect(Side::Client, head, &mut Outbox::default())
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
    fn without_counting_answers_are_not_looked_at_beyond_the_first_byte() {
        let mut inspector = inspector();
        assert_eq!(
            inspector.inspect(Side::Server, &[], &mut Outbox::default()),
            Verdict::Want(1)
        );
        assert_eq!(
            inspector.inspect(Side::Server, &[0], &mut Outbox::default()),
            Verdict::PassAll
        );
    }

    #[test]
    fn requests_are_counted_once_by_their_type() {
        let (mut inspector, tally) = counting();
        let creds = creds(Features::HIGHRES);
        assert_eq!(see(&mut inspector, &creds[..12]), Verdict::Want(20));
        assert_eq!(see(&mut inspector, &creds), Verdict::Pass(20));
        let fetch = head(28, PduType::FETCH.0);
        assert_eq!(see(&mut inspector, &fetch[..4]), Verdict::Want(8));
        for _ in 0..2 {
            assert_eq!(see(&mut inspector, &fetch), Verdict::Pass(28));
        }
        assert!(matches!(
            see(&mut inspector, &head(11, 0x7003)),
            Verdict::End(_)
        ));
        assert_eq!(counts(&tally, Side::Client), [("FETCH", 2), ("CREDS", 1)]);
        assert_eq!(counts(&tally, Side::Server), []);
    }

    #[test]
    fn answers_of_any_length_are_counted_by_their_type() {
        let (mut inspector, tally) = counting();
        let mut see = |head: &[u8]| inspector.inspect(Side::Server, head, &mut Outbox::default());
        let result = head(0x0fff_ffff, PduType::RESULT.0);
        assert_eq!(see(&[]), Verdict::Want(1));
        assert_eq!(see(&result[..1]), Verdict::Want(8));
        assert_eq!(see(&result), Verdict::Pass(0x0fff_ffff));
        assert_eq!(see(&head(20, 0x70fe)), Verdict::Pass(20));
        assert_eq!(counts(&tally, Side::Server), [("RESULT", 1), ("other", 1)]);
    }

    #[test]
    fn what_a_server_sends_that_is_no_pdu_passes_at_once_and_uncounted() {
        let tls = [0x16, 0x03, 0x03, 0x00, 0x7a];
        for other in [
            &tls[..],
            b"H",
            &head(11, 0x7001),
            &head(20, 0x7100),
            &head(20, 0),
        ] {
            let (mut inspector, tally) = counting();
            let verdict = inspector.inspect(Side::Server, other, &mut Outbox::default());
            assert_eq!(verdict, Verdict::PassAll, "{other:?}");
            assert_eq!(counts(&tally, Side::Server), []);
        }
    }
}
