//! The LABEL_REQ and LABEL PDUs: name and value pairs that tell more of contexts, domains,
//! instance domains, metrics and instances.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{InDom, Instance, PduType, PmId, Status};

/// What labels are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelSubject {
    /// The host and its pmcd.
    Context,
    /// An agent, by its domain.
    Domain(u32),
    /// An instance domain.
    InDom(InDom),
    /// The cluster that a metric belongs to.
    Cluster(PmId),
    /// A metric.
    Item(PmId),
    /// The instances of an instance domain.
    Instances(InDom),
}

impl LabelSubject {
    /// The bit that stands for this kind of subject (`PM_LABEL_*`): in requests and answers, and
    /// in the flags of each label.
    pub fn bit(self) -> u8 {
        match self {
            LabelSubject::Context => 1 << 0,
            LabelSubject::Domain(_) => 1 << 1,
            LabelSubject::InDom(_) => 1 << 2,
            LabelSubject::Cluster(_) => 1 << 3,
            LabelSubject::Item(_) => 1 << 4,
            LabelSubject::Instances(_) => 1 << 5,
        }
    }

    fn write(self, body: &mut Writer) {
        body.u32(match self {
            LabelSubject::Context => PmId::NULL.0,
            LabelSubject::Domain(domain) => domain,
            LabelSubject::InDom(indom) | LabelSubject::Instances(indom) => indom.0,
            LabelSubject::Cluster(pmid) | LabelSubject::Item(pmid) => pmid.0,
        });
        body.u32(self.bit().into());
    }

    fn read(body: &mut Reader<'_>) -> Result<LabelSubject, DecodeError> {
        let ident = body.u32("identifier")?;
        match body.u32("type of labels")? {
            1 => Ok(LabelSubject::Context),
            2 => Ok(LabelSubject::Domain(ident)),
            4 => Ok(LabelSubject::InDom(InDom(ident))),
            8 => Ok(LabelSubject::Cluster(PmId(ident))),
            16 => Ok(LabelSubject::Item(PmId(ident))),
            32 => Ok(LabelSubject::Instances(InDom(ident))),
            other => Err(DecodeError::BadValue {
                field: "type of labels",
                value: other.into(),
            }),
        }
    }
}

/// Asks for labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelReq(pub LabelSubject);

/// The answer to [`LabelReq`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// What the labels are about.
    pub subject: LabelSubject,
    /// One for each instance, or at most one for other subjects.
    pub sets: Vec<LabelSet>,
}

/// The labels of one instance, or of what has no instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    /// The instance, or [`Instance::NULL`].
    pub instance: Instance,
    /// The labels, or why there are none.
    pub labels: Result<LabelText, Status>,
}

/// Labels as one JSON object (in PCP's dialect, JSONB: unique names in alphabetical order), with
/// the places of their names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelText {
    json: String,
    places: Vec<Place>,
}

/// Where a label stands in the JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    name: u16,
    name_len: u8,
    flags: u8,
    value: u16,
    value_len: u16,
}

/// A label that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value as JSON: a text has its quotation marks.
    pub value: &'a str,
    /// The bit of the subject that it belongs to, and `0x80` when it does not tell values apart.
    pub flags: u8,
}

impl LabelText {
    /// Labels with these names and JSON values, all with the same flags; `None` when they are too
    /// long for the offsets of the protocol (255 bytes for a name, 65535 for everything).
    ///
    /// It is the caller's part to give valid JSON values, and names in alphabetical order that need
    /// no escapes.
    pub fn new<'a>(
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        flags: u8,
    ) -> Option<LabelText> {
        let mut text = LabelText {
            json: "{".to_owned(),
            places: Vec::new(),
        };
        for (name, value) in labels {
            if !text.places.is_empty() {
                text.json.push(',');
            }
            text.json.push('"');
            let name_at = u16::try_from(text.json.len()).ok()?;
            text.json.push_str(name);
            text.json.push_str("\":");
            let value_at = u16::try_from(text.json.len()).ok()?;
            text.json.push_str(value);
            text.places.push(Place {
                name: name_at,
                name_len: u8::try_from(name.len()).ok()?,
                flags,
                value: value_at,
                value_len: u16::try_from(value.len()).ok()?,
            });
        }
        text.json.push('}');
        (text.json.len() <= usize::from(u16::MAX)).then_some(text)
    }

    /// The JSON object.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The labels.
    pub fn iter(&self) -> impl Iterator<Item = Label<'_>> {
        self.places
            .iter()
            .filter_map(|place| place.in_json(&self.json))
    }
}

impl Place {
    /// Bytes on the wire.
    const SIZE: usize = 8;

    fn in_json(self, json: &str) -> Option<Label<'_>> {
        let (name, value) = (usize::from(self.name), usize::from(self.value));
        Some(Label {
            name: json.get(name..name + usize::from(self.name_len))?,
            value: json.get(value..value + usize::from(self.value_len))?,
            flags: self.flags,
        })
    }

    fn write(self, body: &mut Writer) {
        body.u16(self.name);
        body.u8(self.name_len);
        body.u8(self.flags);
        body.u16(self.value);
        body.u16(self.value_len);
    }

    fn read(body: &mut Reader<'_>) -> Result<Place, DecodeError> {
        Ok(Place {
            name: body.u16("offset of a label's name")?,
            name_len: body.u8("length of a label's name")?,
            flags: body.u8("flags of a label")?,
            value: body.u16("offset of a label's value")?,
            value_len: body.u16("length of a label's value")?,
        })
    }
}

impl Pdu for LabelReq {
    const TYPE: PduType = PduType::LABEL_REQ;

    fn encode_body(&self, body: &mut Writer) {
        self.0.write(body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        LabelSubject::read(body).map(LabelReq)
    }
}

/// Instance, count of labels, offset and length of their JSON.
const SET_HEAD: usize = 16;

impl Pdu for Labels {
    const TYPE: PduType = PduType::LABEL;

    fn encode_body(&self, body: &mut Writer) {
        self.subject.write(body);
        body.u32(0);
        body.count(self.sets.len());
        let texts = || self.sets.iter().filter_map(|set| set.labels.as_ref().ok());
        let places: usize = texts().map(|text| text.places.len()).sum();
        let mut json_at = body.position() + SET_HEAD * self.sets.len() + Place::SIZE * places;
        for set in &self.sets {
            json_at = set.write_head(json_at, body);
        }
        texts().for_each(|text| body.bytes(text.json.as_bytes()));
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let subject = LabelSubject::read(body)?;
        body.u32("padding")?;
        let count = body.count(SET_HEAD, "number of label sets")?;
        let heads = (0..count)
            .map(|_| SetHead::read(body))
            .collect::<Result<Vec<_>, _>>()?;
        let sets = heads
            .into_iter()
            .map(|head| head.read_json(body))
            .collect::<Result<_, _>>()?;
        Ok(Labels { subject, sets })
    }
}

impl LabelSet {
    /// Writes everything but the JSON, which will stand at `json_at`; gives where the next one will.
    fn write_head(&self, json_at: usize, body: &mut Writer) -> usize {
        body.u32(self.instance.0);
        let (count, json_len) = match &self.labels {
            Ok(text) => (
                i32::try_from(text.places.len()).unwrap_or(i32::MAX),
                text.json.len(),
            ),
            Err(status) => (status.0.min(-1), 0),
        };
        body.i32(count);
        body.count(json_at);
        body.count(json_len);
        if let Ok(text) = &self.labels {
            text.places.iter().for_each(|place| place.write(body));
        }
        json_at + json_len
    }
}

/// What stands before the JSON texts for one set.
struct SetHead {
    instance: Instance,
    places: Result<Vec<Place>, Status>,
    json_at: u32,
    json_len: i32,
}

impl SetHead {
    fn read(body: &mut Reader<'_>) -> Result<SetHead, DecodeError> {
        let instance = Instance(body.u32("instance")?);
        let count = body.i32("number of labels")?;
        let (json_at, json_len) = (body.u32("offset of JSON")?, body.i32("length of JSON")?);
        if count < 0 {
            return Ok(SetHead {
                instance,
                places: Err(Status(count)),
                json_at,
                json_len,
            });
        }
        let count = body.holds(count, Place::SIZE, "number of labels")?;
        let places = (0..count)
            .map(|_| Place::read(body))
            .collect::<Result<_, _>>()?;
        Ok(SetHead {
            instance,
            places: Ok(places),
            json_at,
            json_len,
        })
    }

    /// Reads the JSON. libpcp writes the texts in the order of their sets, without gaps, and only
    /// that is accepted: otherwise a small PDU could point many sets at one large text.
    fn read_json(self, body: &mut Reader<'_>) -> Result<LabelSet, DecodeError> {
        let bad = |field, value| Err(DecodeError::BadValue { field, value });
        if self.json_at as usize != body.position() {
            return bad("offset of JSON", self.json_at.into());
        }
        let len = body.holds(self.json_len, 1, "length of JSON")?;
        let places = match self.places {
            Ok(places) => places,
            Err(_) if len > 0 => return bad("length of JSON", self.json_len.into()),
            Err(status) => {
                return Ok(LabelSet {
                    instance: self.instance,
                    labels: Err(status),
                });
            }
        };
        let json = body.text(len, "JSON")?;
        if let Some(outside) = places.iter().find(|place| place.in_json(json).is_none()) {
            return bad("place of a label", outside.name.into());
        }
        let labels = Ok(LabelText {
            json: json.to_owned(),
            places,
        });
        Ok(LabelSet {
            instance: self.instance,
            labels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_labels_of_a_real_agent_are_understood() {
        // Recorded from pminfo and pmcd 6.0.3.
        let bytes = pdu(PduType::LABEL_REQ, "0000003c 00000002");
        let subject = LabelSubject::Domain(60);
        assert_eq!(LabelReq::decode(&bytes), Ok(LabelReq(subject)));
        assert_eq!(LabelReq(subject).encode(0), bytes);
        let bytes = pdu(
            PduType::LABEL,
            "0000003c 00000002 00000000 00000001
             ffffffff 00000001 00000034 00000011 0002 05 02 0009 0007
             7b226167656e74223a226c696e7578227d",
        );
        let text = LabelText::new([("agent", "\"linux\"")], subject.bit()).unwrap();
        assert_eq!(text.json(), "{\"agent\":\"linux\"}");
        let set = LabelSet {
            instance: Instance::NULL,
            labels: Ok(text.clone()),
        };
        let labels = Labels {
            subject,
            sets: vec![set],
        };
        assert_eq!(Labels::decode(&bytes), Ok(labels.clone()));
        assert_eq!(labels.encode(0), bytes);
        let agent = Label {
            name: "agent",
            value: "\"linux\"",
            flags: 2,
        };
        assert_eq!(text.iter().collect::<Vec<_>>(), [agent]);
    }

    #[test]
    fn the_labels_of_instances_are_told_apart() {
        // Recorded from pmcd 6.0.3, shortened.
        let bytes = pdu(
            PduType::LABEL,
            "0f000003 00000020 00000000 00000002
             00000000 00000001 0000004c 00000012 0002 09 20 000d 0004
             00000003 00000001 0000005e 00000014 0002 09 20 000d 0006
             7b22696e74657266616365223a226c6f227d 7b22696e74657266616365223a2265746830227d",
        );
        let labels = Labels::decode(&bytes).unwrap();
        let values: Vec<_> = labels
            .sets
            .iter()
            .flat_map(|set| {
                set.labels
                    .iter()
                    .flat_map(LabelText::iter)
                    .map(|label| label.value)
            })
            .collect();
        assert_eq!(values, ["\"lo\"", "\"eth0\""]);
        assert_eq!(labels.encode(0), bytes);
    }

    #[test]
    fn places_outside_the_text_are_refused() {
        let body = |json_at: &str, place: &str| {
            pdu(
                PduType::LABEL,
                &format!(
                    "0000003c 00000002 00000000 00000001
                     ffffffff 00000001 {json_at} 00000004 {place} 7bc3a47d"
                ),
            )
        };
        let bad = |field, value| Err(DecodeError::BadValue { field, value });
        assert!(Labels::decode(&body("00000034", "0001020200000004")).is_ok());
        let refused = Labels::decode(&body("00000035", "0001020200000004"));
        assert_eq!(refused, bad("offset of JSON", 0x35));
        let refused = Labels::decode(&body("00000034", "0001020200000005"));
        assert_eq!(refused, bad("place of a label", 1));
        // Inside a character.
        let refused = Labels::decode(&body("00000034", "0002020200000004"));
        assert_eq!(refused, bad("place of a label", 2));
    }

    #[test]
    fn labels_that_are_too_long_are_not_made() {
        let long = "x".repeat(256);
        assert_eq!(LabelText::new([(long.as_str(), "1")], 0), None);
        let long = "1".repeat(70_000);
        assert_eq!(LabelText::new([("x", long.as_str())], 0), None);
    }

    fn any_subject() -> impl Strategy<Value = LabelSubject> {
        (any::<u32>(), 0..6).prop_map(|(ident, kind)| match kind {
            0 => LabelSubject::Context,
            1 => LabelSubject::Domain(ident),
            2 => LabelSubject::InDom(InDom(ident)),
            3 => LabelSubject::Cluster(PmId(ident)),
            4 => LabelSubject::Item(PmId(ident)),
            _ => LabelSubject::Instances(InDom(ident)),
        })
    }

    fn any_labels() -> impl Strategy<Value = Result<LabelText, Status>> {
        let labels = prop::collection::vec(("[a-z]{0,9}", "\"[a-zä]{0,9}\""), 0..4);
        let text = (labels, any::<u8>()).prop_map(|(labels, flags)| {
            let pairs = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            Ok(LabelText::new(pairs, flags).unwrap())
        });
        prop_oneof![text, (i32::MIN..0).prop_map(|code| Err(Status(code)))]
    }

    proptest! {
        #[test]
        fn labels_survive_the_wire(
            subject in any_subject(),
            sets in prop::collection::vec((any::<u32>(), any_labels()), 0..4),
        ) {
            let sets = sets
                .into_iter()
                .map(|(instance, labels)| LabelSet { instance: Instance(instance), labels })
                .collect();
            round_trip(&LabelReq(subject));
            round_trip(&Labels { subject, sets });
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = LabelReq::decode_body(&mut Reader::new(&body));
            let _ = Labels::decode_body(&mut Reader::new(&body));
        }
    }
}
