//! The PDUs of the metric name space: PMNS_IDS, PMNS_NAMES, PMNS_CHILD and PMNS_TRAVERSE.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{PduType, PmId};

/// The answer to [`PmnsNames`]; or a question for all names of one metric, which [`PmnsNames`]
/// answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PmnsIds {
    /// In an answer, how many of the names are known; 0 in a question.
    pub status: i32,
    /// One for each name, in their order; [`PmId::NULL`] for a name that is not known.
    pub pmids: Vec<PmId>,
}

/// Whether a name is a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A metric.
    Leaf,
    /// More names are below it.
    NonLeaf,
}

/// Names: the question that [`PmnsIds`] answers, and the answer to the other three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PmnsNames {
    /// Names alone.
    Plain(Vec<String>),
    /// Names, and for each what it is; at least one.
    WithKinds(Vec<(NodeKind, String)>),
}

/// Asks for the names just below a name: the last part of each, without dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmnsChild {
    /// The name; an empty one is the root.
    pub name: String,
    /// Whether the answer is to say what each name is.
    pub with_kinds: bool,
}

/// Asks for the full names of all metrics below a name, or for the name itself when it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmnsTraverse {
    /// The name; an empty one is the root.
    pub name: String,
}

impl Pdu for PmnsIds {
    const TYPE: PduType = PduType::PMNS_IDS;

    fn encode_body(&self, body: &mut Writer) {
        body.i32(self.status);
        PmId::write_list(&self.pmids, body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PmnsIds {
            status: body.i32("status")?,
            pmids: PmId::read_list(body)?,
        })
    }
}

impl NodeKind {
    fn read(body: &mut Reader<'_>) -> Result<NodeKind, DecodeError> {
        match body.i32("kind of name")? {
            0 => Ok(NodeKind::Leaf),
            1 => Ok(NodeKind::NonLeaf),
            other => Err(DecodeError::BadValue {
                field: "kind of name",
                value: other.into(),
            }),
        }
    }

    fn write(self, body: &mut Writer) {
        body.i32(match self {
            NodeKind::Leaf => 0,
            NodeKind::NonLeaf => 1,
        });
    }
}

impl Pdu for PmnsNames {
    const TYPE: PduType = PduType::PMNS_NAMES;

    fn encode_body(&self, body: &mut Writer) {
        match self {
            PmnsNames::Plain(names) => {
                body.count(names.iter().map(|name| name.len() + 1).sum());
                body.count(0);
                body.count(names.len());
                names.iter().for_each(|name| body.padded_text(name));
            }
            PmnsNames::WithKinds(names) => {
                body.count(names.iter().map(|(_, name)| name.len() + 1).sum());
                body.count(names.len());
                body.count(names.len());
                for (kind, name) in names {
                    kind.write(body);
                    body.padded_text(name);
                }
            }
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // What libpcp sets aside for the names. It follows from their lengths, so it is not needed.
        body.u32("bytes of all names")?;
        let kinds = body.i32("number of kinds")?;
        let count = body.count(4, "number of names")?;
        let name = |body: &mut Reader<'_>| body.padded_text("name").map(str::to_owned);
        if kinds == 0 {
            let names = (0..count).map(|_| name(body)).collect::<Result<_, _>>()?;
            return Ok(PmnsNames::Plain(names));
        }
        if usize::try_from(kinds) != Ok(count) {
            return Err(DecodeError::BadValue {
                field: "number of kinds",
                value: kinds.into(),
            });
        }
        (0..count)
            .map(|_| Ok((NodeKind::read(body)?, name(body)?)))
            .collect::<Result<_, DecodeError>>()
            .map(PmnsNames::WithKinds)
    }
}

impl Pdu for PmnsChild {
    const TYPE: PduType = PduType::PMNS_CHILD;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.with_kinds.into());
        body.padded_text(&self.name);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let with_kinds = body.u32("subtype")? != 0;
        Ok(PmnsChild {
            with_kinds,
            name: body.padded_text("name")?.to_owned(),
        })
    }
}

impl Pdu for PmnsTraverse {
    const TYPE: PduType = PduType::PMNS_TRAVERSE;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(0);
        body.padded_text(&self.name);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        body.u32("subtype")?;
        Ok(PmnsTraverse {
            name: body.padded_text("name")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn names_and_identifiers_of_real_peers_are_understood() {
        // Recorded from pminfo and pmcd 6.0.3.
        let bytes = pdu(
            PduType::PMNS_NAMES,
            "0000001a 00000000 00000002 0000000f 6b65726e656c2e616c6c2e6c6f61647e
             00000009 68696e762e6e6370757e7e7e",
        );
        let names = PmnsNames::Plain(vec!["kernel.all.load".into(), "hinv.ncpu".into()]);
        assert_eq!(PmnsNames::decode(&bytes), Ok(names.clone()));
        assert_eq!(names.encode(0), bytes);
        let bytes = pdu(
            PduType::PMNS_IDS,
            "00000002 00000003 0f000800 ffffffff 0f000020",
        );
        let pmids = vec![PmId::new(60, 2, 0), PmId::NULL, PmId::new(60, 0, 32)];
        assert_eq!(PmnsIds::decode(&bytes), Ok(PmnsIds { status: 2, pmids }));
    }

    #[test]
    fn the_names_below_a_name_tell_what_they_are() {
        // Recorded from pmcd 6.0.3, shortened.
        let bytes = pdu(
            PduType::PMNS_NAMES,
            "0000000d 00000002 00000002 00000000 00000007 6672 65656d656d7e
             00000001 00000004 7574696c",
        );
        let names = PmnsNames::WithKinds(vec![
            (NodeKind::Leaf, "freemem".into()),
            (NodeKind::NonLeaf, "util".into()),
        ]);
        assert_eq!(PmnsNames::decode(&bytes), Ok(names.clone()));
        assert_eq!(names.encode(0), bytes);
    }

    #[test]
    fn questions_about_a_name_are_understood() {
        // Recorded from pminfo 6.0.3.
        let bytes = pdu(
            PduType::PMNS_TRAVERSE,
            "00000000 00000009 68696e762e6e6370757e7e7e",
        );
        let traverse = PmnsTraverse {
            name: "hinv.ncpu".into(),
        };
        assert_eq!(PmnsTraverse::decode(&bytes), Ok(traverse.clone()));
        assert_eq!(traverse.encode(0), bytes);
        let bytes = pdu(PduType::PMNS_CHILD, "00000001 00000000");
        let root = PmnsChild {
            name: String::new(),
            with_kinds: true,
        };
        assert_eq!(PmnsChild::decode(&bytes), Ok(root));
    }

    #[test]
    fn a_list_that_contradicts_itself_is_refused() {
        let bytes = pdu(
            PduType::PMNS_NAMES,
            "00000002 00000002 00000001 00000001 617e7e7e",
        );
        let field = "number of kinds";
        assert_eq!(
            PmnsNames::decode(&bytes),
            Err(DecodeError::BadValue { field, value: 2 })
        );
        let bytes = pdu(
            PduType::PMNS_NAMES,
            "00000002 00000000 40000000 00000001 617e7e7e",
        );
        let field = "number of names";
        assert!(matches!(
            PmnsNames::decode(&bytes),
            Err(DecodeError::TooShort { field: found, .. }) if found == field
        ));
    }

    proptest! {
        #[test]
        fn names_survive_the_wire(
            status: i32,
            pmids in prop::collection::vec(any::<u32>(), 0..6),
            names in prop::collection::vec(("[a-z.]{0,9}", any::<bool>()), 1..6),
        ) {
            round_trip(&PmnsIds { status, pmids: pmids.into_iter().map(PmId).collect() });
            for (name, with_kinds) in names.clone() {
                round_trip(&PmnsChild { name: name.clone(), with_kinds });
                round_trip(&PmnsTraverse { name });
            }
            let plain = names.iter().map(|(name, _)| name.clone()).collect();
            round_trip(&PmnsNames::Plain(plain));
            let kind = |leaf| if leaf { NodeKind::Leaf } else { NodeKind::NonLeaf };
            let names = names.into_iter().map(|(name, leaf)| (kind(leaf), name)).collect();
            round_trip(&PmnsNames::WithKinds(names));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = PmnsIds::decode_body(&mut Reader::new(&body));
            let _ = PmnsNames::decode_body(&mut Reader::new(&body));
            let _ = PmnsChild::decode_body(&mut Reader::new(&body));
            let _ = PmnsTraverse::decode_body(&mut Reader::new(&body));
        }
    }
}
