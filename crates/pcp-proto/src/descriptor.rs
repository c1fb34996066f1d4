//! The DESC_REQ, DESC, DESC_IDS and DESCS PDUs: what metrics are.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{Descriptor, PduType, PmId};

/// Asks for the descriptor of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescReq(pub PmId);

/// Asks for the descriptors of several metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescIds(pub Vec<PmId>);

/// The answer to [`DescIds`], in the same order; `None` for a metric that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descs(pub Vec<Option<Descriptor>>);

impl Pdu for DescReq {
    const TYPE: PduType = PduType::DESC_REQ;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.0.0);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        body.u32("metric identifier").map(PmId).map(DescReq)
    }
}

impl Pdu for Descriptor {
    const TYPE: PduType = PduType::DESC;

    fn encode_body(&self, body: &mut Writer) {
        self.write(body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Descriptor::read(body)
    }
}

/// Stands where other lists of identifiers have a status.
const NO_STATUS: i32 = -1;

impl Pdu for DescIds {
    const TYPE: PduType = PduType::DESC_IDS;

    fn encode_body(&self, body: &mut Writer) {
        body.i32(NO_STATUS);
        PmId::write_list(&self.0, body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match body.i32("status")? {
            NO_STATUS => PmId::read_list(body).map(DescIds),
            other => Err(DecodeError::BadValue {
                field: "status",
                value: other.into(),
            }),
        }
    }
}

impl Pdu for Descs {
    const TYPE: PduType = PduType::DESCS;

    fn encode_body(&self, body: &mut Writer) {
        body.count(self.0.len());
        for descriptor in &self.0 {
            match descriptor {
                Some(descriptor) => descriptor.write(body),
                None => {
                    body.u32(PmId::NULL.0);
                    body.bytes(&[0; Descriptor::SIZE - 4]);
                }
            }
        }
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = body.count(Descriptor::SIZE, "number of descriptors")?;
        (0..count)
            .map(|_| Descriptor::read(body))
            .map(|read| read.map(|found| (found.pmid != PmId::NULL).then_some(found)))
            .collect::<Result<_, _>>()
            .map(Descs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use crate::{InDom, Semantics, TimeScale, Units, ValueType};
    use proptest::prelude::*;

    const LOAD: Descriptor = Descriptor {
        pmid: PmId::new(60, 2, 0),
        value_type: ValueType::FLOAT,
        indom: InDom::new(60, 2),
        semantics: Semantics::INSTANT,
        units: Units::NONE,
    };

    #[test]
    fn the_descriptors_of_a_real_pmcd_are_understood() {
        // Recorded from pmcd 6.0.3: kernel.all.uptime, kernel.all.load and an unknown metric.
        let bytes = pdu(
            PduType::DESC,
            "0f006800 00000005 ffffffff 00000003 01003000",
        );
        let uptime = Descriptor {
            pmid: PmId::new(60, 26, 0),
            value_type: ValueType::DOUBLE,
            indom: InDom::NULL,
            units: Units::time(TimeScale::Second),
            ..LOAD
        };
        assert_eq!(Descriptor::decode(&bytes), Ok(uptime));
        assert_eq!(uptime.encode(0), bytes);
        let bytes = pdu(
            PduType::DESCS,
            "00000002 0f000800 00000004 0f000002 00000003 00000000
             ffffffff 00000000 00000000 00000000 00000000",
        );
        assert_eq!(Descs::decode(&bytes), Ok(Descs(vec![Some(LOAD), None])));
        assert_eq!(Descs(vec![Some(LOAD), None]).encode(0), bytes);
    }

    #[test]
    fn the_requests_of_real_clients_are_understood() {
        // Recorded from pminfo and pmrep 6.0.3.
        let bytes = pdu(PduType::DESC_REQ, "0f000800");
        assert_eq!(DescReq::decode(&bytes), Ok(DescReq(LOAD.pmid)));
        let bytes = pdu(PduType::DESC_IDS, "ffffffff 00000001 0f000800");
        assert_eq!(DescIds::decode(&bytes), Ok(DescIds(vec![LOAD.pmid])));
        let refused = DescIds::decode(&pdu(PduType::DESC_IDS, "00000000 00000001 0f000800"));
        assert_eq!(
            refused,
            Err(DecodeError::BadValue {
                field: "status",
                value: 0
            })
        );
    }

    prop_compose! {
        fn any_descriptor()(
            pmid in 0..u32::MAX, value_type: i32, indom: u32, semantics: i32, units: u32,
        ) -> Descriptor {
            Descriptor {
                pmid: PmId(pmid),
                value_type: ValueType(value_type),
                indom: InDom(indom),
                semantics: Semantics(semantics),
                units: Units::from_wire(units),
            }
        }
    }

    proptest! {
        #[test]
        fn descriptors_survive_the_wire(
            list in prop::collection::vec(prop::option::of(any_descriptor()), 0..6),
        ) {
            let ids = list.iter().flatten().map(|descriptor| descriptor.pmid).collect();
            list.iter().flatten().for_each(round_trip);
            round_trip(&DescIds(ids));
            round_trip(&Descs(list));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = DescReq::decode_body(&mut Reader::new(&body));
            let _ = Descriptor::decode_body(&mut Reader::new(&body));
            let _ = DescIds::decode_body(&mut Reader::new(&body));
            let _ = Descs::decode_body(&mut Reader::new(&body));
        }
    }
}
