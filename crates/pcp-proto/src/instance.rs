//! The INSTANCE_REQ and INSTANCE PDUs: the instances of an instance domain.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{InDom, Instance, PduType};

/// Asks for the instances of a domain: all of them when neither number nor name is given, otherwise
/// for the name of the one with this number, or the number of the one with this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReq {
    /// The instance domain.
    pub indom: InDom,
    /// The number, or [`Instance::NULL`].
    pub instance: Instance,
    /// The name, or an empty one.
    pub name: String,
}

/// The answer to [`InstanceReq`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceList {
    /// The instance domain.
    pub indom: InDom,
    /// Numbers and names. What the client gave is missing in the answer: a number that was asked
    /// for comes back as [`Instance::NULL`], a name as an empty one.
    pub instances: Vec<(Instance, String)>,
}

impl Pdu for InstanceReq {
    const TYPE: PduType = PduType::INSTANCE_REQ;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.indom.0);
        // A time stamp once stood here.
        body.u32(0);
        body.u32(0);
        body.u32(self.instance.0);
        body.padded_text(&self.name);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let indom = InDom(body.u32("instance domain")?);
        body.bytes(8, "time")?;
        let instance = Instance(body.u32("instance")?);
        let name = body.padded_text("instance name")?.to_owned();
        Ok(InstanceReq {
            indom,
            instance,
            name,
        })
    }
}

impl Pdu for InstanceList {
    const TYPE: PduType = PduType::INSTANCE;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.indom.0);
        body.count(self.instances.len());
        for (instance, name) in &self.instances {
            body.u32(instance.0);
            body.padded_text(name);
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let indom = InDom(body.u32("instance domain")?);
        let count = body.count(8, "number of instances")?;
        let instances = (0..count)
            .map(|_| {
                let instance = Instance(body.u32("instance")?);
                Ok((instance, body.padded_text("instance name")?.to_owned()))
            })
            .collect::<Result<_, DecodeError>>()?;
        Ok(InstanceList { indom, instances })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    const LOAD: InDom = InDom::new(60, 2);

    #[test]
    fn the_instances_of_a_real_pmcd_are_understood() {
        // Recorded from pminfo and pmcd 6.0.3.
        let bytes = pdu(
            PduType::INSTANCE_REQ,
            "0f000002 00000000 00000000 ffffffff 00000000",
        );
        let all = InstanceReq {
            indom: LOAD,
            instance: Instance::NULL,
            name: String::new(),
        };
        assert_eq!(InstanceReq::decode(&bytes), Ok(all.clone()));
        assert_eq!(all.encode(0), bytes);
        let bytes = pdu(
            PduType::INSTANCE,
            "0f000002 00000003 00000001 00000008 31206d696e757465
             00000005 00000008 35206d696e757465 0000000f 00000009 3135206d696e7574657e7e7e",
        );
        let list = InstanceList {
            indom: LOAD,
            instances: vec![
                (Instance(1), "1 minute".into()),
                (Instance(5), "5 minute".into()),
                (Instance(15), "15 minute".into()),
            ],
        };
        assert_eq!(InstanceList::decode(&bytes), Ok(list.clone()));
        assert_eq!(list.encode(0), bytes);
    }

    #[test]
    fn one_instance_is_found_by_name_or_number() {
        // Recorded from pmval and pmcd 6.0.3.
        let bytes = pdu(
            PduType::INSTANCE_REQ,
            "0f000002 00000000 00000000 ffffffff 00000001 317e7e7e",
        );
        let by_name = InstanceReq::decode(&bytes).unwrap();
        assert_eq!(
            (by_name.instance, by_name.name.as_str()),
            (Instance::NULL, "1")
        );
        assert_eq!(by_name.encode(0), bytes);
        let bytes = pdu(PduType::INSTANCE, "0f000002 00000001 00000001 00000000");
        let number = InstanceList::decode(&bytes).unwrap();
        assert_eq!(number.instances, [(Instance(1), String::new())]);
        let bytes = pdu(
            PduType::INSTANCE,
            "0f000002 00000001 ffffffff 00000008 35206d696e757465",
        );
        let name = InstanceList::decode(&bytes).unwrap();
        assert_eq!(name.instances, [(Instance::NULL, "5 minute".into())]);
    }

    #[test]
    fn a_name_that_is_not_text_is_refused() {
        let bytes = pdu(
            PduType::INSTANCE_REQ,
            "0f000002 00000000 00000000 ffffffff 00000001 ff7e7e7e",
        );
        assert_eq!(
            InstanceReq::decode(&bytes),
            Err(DecodeError::NotText("instance name"))
        );
    }

    proptest! {
        #[test]
        fn instances_survive_the_wire(
            indom: u32, list in prop::collection::vec((any::<u32>(), ".{0,9}"), 0..6),
        ) {
            let indom = InDom(indom);
            let instances: Vec<_> =
                list.into_iter().map(|(number, name)| (Instance(number), name)).collect();
            for (instance, name) in instances.clone() {
                round_trip(&InstanceReq { indom, instance, name });
            }
            round_trip(&InstanceList { indom, instances });
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = InstanceReq::decode_body(&mut Reader::new(&body));
            let _ = InstanceList::decode_body(&mut Reader::new(&body));
        }
    }
}
