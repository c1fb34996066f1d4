//! The TEXT_REQ and TEXT PDUs: help texts of metrics and instance domains.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{InDom, PduType, PmId};

/// What a help text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextSubject {
    /// A metric.
    Metric(PmId),
    /// An instance domain.
    InDom(InDom),
}

impl TextSubject {
    /// The identifier as a number.
    pub fn ident(self) -> u32 {
        match self {
            TextSubject::Metric(PmId(ident)) | TextSubject::InDom(InDom(ident)) => ident,
        }
    }
}

/// Which help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// One line.
    OneLine,
    /// All of it.
    Help,
}

/// Asks for a help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextReq {
    /// What it is about.
    pub subject: TextSubject,
    /// Which of the two texts.
    pub kind: TextKind,
    /// Whether the one line is no substitute for a long text that there is none of.
    pub direct: bool,
}

/// The bits of a request's type (`PM_TEXT_*`).
const ONELINE: u32 = 1;
const HELP: u32 = 2;
const METRIC: u32 = 4;
const INDOM: u32 = 8;
const DIRECT: u32 = 16;

impl Pdu for TextReq {
    const TYPE: PduType = PduType::TEXT_REQ;

    fn encode_body(&self, body: &mut Writer) {
        let subject = match self.subject {
            TextSubject::Metric(_) => METRIC,
            TextSubject::InDom(_) => INDOM,
        };
        let kind = match self.kind {
            TextKind::OneLine => ONELINE,
            TextKind::Help => HELP,
        };
        body.u32(self.subject.ident());
        body.u32(subject | kind | if self.direct { DIRECT } else { 0 });
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ident = body.u32("identifier")?;
        let bits = body.u32("type of text")?;
        let bad = DecodeError::BadValue {
            field: "type of text",
            value: bits.into(),
        };
        let subject = match bits & (METRIC | INDOM) {
            METRIC => TextSubject::Metric(PmId(ident)),
            INDOM => TextSubject::InDom(InDom(ident)),
            _ => return Err(bad),
        };
        let kind = match bits & !(METRIC | INDOM | DIRECT) {
            ONELINE => TextKind::OneLine,
            HELP => TextKind::Help,
            _ => return Err(bad),
        };
        Ok(TextReq {
            subject,
            kind,
            direct: bits & DIRECT != 0,
        })
    }
}

/// The answer to [`TextReq`].
///
/// Its identifier is the one field of the protocol that does not travel in network byte order: a
/// pmcd on a little-endian machine, which nearly all are, sends it with the lowest byte first.
/// So does this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The identifier of the metric or instance domain.
    pub ident: u32,
    /// The text; empty when there is none of this kind.
    pub text: String,
}

impl Pdu for Text {
    const TYPE: PduType = PduType::TEXT;

    fn encode_body(&self, body: &mut Writer) {
        body.bytes(&self.ident.to_le_bytes());
        body.padded_text(&self.text);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ident = body.u32("identifier")?.swap_bytes();
        Ok(Text {
            ident,
            text: body.padded_text("text")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_help_of_a_real_pmcd_is_understood() {
        // Recorded from pminfo and pmcd 6.0.3.
        let bytes = pdu(PduType::TEXT_REQ, "0f000020 00000005");
        let subject = TextSubject::Metric(PmId::new(60, 0, 32));
        let req = TextReq {
            subject,
            kind: TextKind::OneLine,
            direct: false,
        };
        assert_eq!(TextReq::decode(&bytes), Ok(req));
        assert_eq!(req.encode(0), bytes);
        let bytes = pdu(
            PduType::TEXT,
            "2000000f 0000001c 6e756d626572206f66204350557320696e207468652073797374656d",
        );
        let text = Text {
            ident: subject.ident(),
            text: "number of CPUs in the system".into(),
        };
        assert_eq!(Text::decode(&bytes), Ok(text.clone()));
        assert_eq!(text.encode(0), bytes);
    }

    #[test]
    fn a_request_for_both_texts_or_none_is_refused() {
        for bits in [
            "00000000", "00000004", "00000001", "0000000d", "00000007", "00000025",
        ] {
            let refused = TextReq::decode(&pdu(PduType::TEXT_REQ, &format!("0f000020 {bits}")));
            assert!(matches!(
                refused,
                Err(DecodeError::BadValue {
                    field: "type of text",
                    ..
                })
            ));
        }
    }

    proptest! {
        #[test]
        fn texts_survive_the_wire(ident: u32, indom: bool, help: bool, direct: bool, text: String) {
            let subject = if indom {
                TextSubject::InDom(InDom(ident))
            } else {
                TextSubject::Metric(PmId(ident))
            };
            let kind = if help { TextKind::Help } else { TextKind::OneLine };
            round_trip(&TextReq { subject, kind, direct });
            round_trip(&Text { ident, text });
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = TextReq::decode_body(&mut Reader::new(&body));
            let _ = Text::decode_body(&mut Reader::new(&body));
        }
    }
}
