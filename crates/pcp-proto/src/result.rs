//! The RESULT and HIGHRES_RESULT PDUs: values, with the time at which they were taken.

use crate::PduType;
use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::values::{ValueSet, read_sets, write_sets};

/// The answer to a [`Fetch`](crate::Fetch), and what a client sends to store values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResult {
    /// When the values were taken: whole seconds since 1970.
    pub seconds: u32,
    /// And microseconds.
    pub microseconds: u32,
    /// The metrics, in the order in which they were asked for.
    pub sets: Vec<ValueSet>,
}

/// The answer to a [`HighresFetch`](crate::HighresFetch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighresResult {
    /// When the values were taken: whole seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: i64,
    /// The metrics, in the order in which they were asked for.
    pub sets: Vec<ValueSet>,
}

/// A metric takes its identifier and a count at least.
const SET_HEAD: usize = 8;

impl Pdu for FetchResult {
    const TYPE: PduType = PduType::RESULT;

    fn encode_body(&self, body: &mut Writer) {
        body.u32(self.seconds);
        body.u32(self.microseconds);
        body.count(self.sets.len());
        write_sets(&self.sets, body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (seconds, microseconds) = (body.u32("seconds")?, body.u32("microseconds")?);
        let count = body.count(SET_HEAD, "number of metrics")?;
        Ok(FetchResult {
            seconds,
            microseconds,
            sets: read_sets(count, body)?,
        })
    }
}

impl Pdu for HighresResult {
    const TYPE: PduType = PduType::HIGHRES_RESULT;

    fn encode_body(&self, body: &mut Writer) {
        body.count(self.sets.len());
        body.i64(self.seconds);
        body.i64(self.nanoseconds);
        write_sets(&self.sets, body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = body.count(SET_HEAD, "number of metrics")?;
        let (seconds, nanoseconds) = (body.i64("seconds")?, body.i64("nanoseconds")?);
        Ok(HighresResult {
            seconds,
            nanoseconds,
            sets: read_sets(count, body)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use crate::{Instance, PmId, Status, ValueBlock, ValueType, Values};
    use proptest::prelude::*;

    #[test]
    fn the_values_of_a_real_pmcd_are_understood() {
        // Recorded from pmcd 6.0.3: kernel.all.load, pmcd.hostname and hinv.ncpu.
        let bytes = pdu(
            PduType::HIGHRES_RESULT,
            "00000002 000000006b00f552 0000000019f78f83
             0f000800 00000003 00000001 00000001 00000016 00000005 00000018 0000000f 0000001a
             00800015 00000001 00000001 ffffffff 0000001c
             04000008 00000000 04000008 3ca3d70a 04000008 00000000 0600000a 616c706861007e7e",
        );
        let result = HighresResult::decode(&bytes).unwrap();
        assert_eq!(result.seconds, 0x6b00_f552);
        let [load, hostname] = &result.sets[..] else {
            panic!("{result:?}")
        };
        assert_eq!(load.pmid, PmId::new(60, 2, 0));
        let values = load.values.numbers(ValueType::FLOAT);
        assert_eq!(
            values.iter().map(|(i, _)| i.0).collect::<Vec<_>>(),
            [1, 5, 15]
        );
        assert!((values[1].1 - 0.02).abs() < 1e-6);
        assert_eq!(hostname.values.text(), Some("alpha"));
        assert_eq!(result.encode(0), bytes);
    }

    #[test]
    fn a_metric_without_values_tells_why() {
        // Recorded from pmcd 6.0.3: an unknown metric, and hinv.ncpu.
        let bytes = pdu(
            PduType::RESULT,
            "6b00f591 0008690b 00000002
             0f0fffff ffffcfba
             0f000020 00000001 00000000 ffffffff 00000002",
        );
        let result = FetchResult::decode(&bytes).unwrap();
        assert_eq!(result.sets[0].values, Values::Missing(Status::PMID));
        assert_eq!(
            result.sets[1].values,
            Values::InSitu(vec![(Instance::NULL, 2)])
        );
        assert_eq!(
            result.sets[1].values.numbers(ValueType::U32),
            [(Instance::NULL, 2.0)]
        );
        assert_eq!(result.encode(0), bytes);
    }

    #[test]
    fn blocks_that_are_not_in_their_place_are_refused() {
        let body = |at: &str| {
            pdu(
                PduType::RESULT,
                &format!(
                    "00000000 00000000 00000001
                     0f000800 00000002 00000001 00000001 0000000d 00000005 {at}
                     04000008 00000000 04000008 3f800000"
                ),
            )
        };
        assert!(FetchResult::decode(&body("0000000f")).is_ok());
        // The second value points at the first one's block.
        let refused = FetchResult::decode(&body("0000000d"));
        let field = "position of a value block";
        assert_eq!(refused, Err(DecodeError::BadValue { field, value: 13 }));
    }

    #[test]
    fn a_block_shorter_than_its_own_head_is_refused() {
        let bytes = pdu(
            PduType::RESULT,
            "00000000 00000000 00000001 0f000800 00000001 00000001 00000001 0000000b 04000003",
        );
        let field = "length of a value block";
        assert_eq!(
            FetchResult::decode(&bytes),
            Err(DecodeError::BadValue { field, value: 3 })
        );
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let block = |value_type, bytes: &[u8]| ValueBlock::new(value_type, bytes).unwrap();
        assert_eq!(block(ValueType::I32, &[0xff; 4]).number(), Some(-1.0));
        assert_eq!(block(ValueType::U32, &[0, 0, 1, 0]).number(), Some(256.0));
        assert_eq!(block(ValueType::I64, &[0xff; 8]).number(), Some(-1.0));
        assert_eq!(ValueBlock::u64(1 << 40).number(), Some(1_099_511_627_776.0));
        assert_eq!(ValueBlock::float(0.5).number(), Some(0.5));
        assert_eq!(ValueBlock::double(-2.25).number(), Some(-2.25));
        assert_eq!(block(ValueType::U64, &[0; 7]).number(), None);
        assert_eq!(block(ValueType::AGGREGATE, &[0; 8]).number(), None);
        assert_eq!(
            ValueBlock::string("x").and_then(|block| block.number()),
            None
        );
        let negative = Values::InSitu(vec![(Instance(3), u32::MAX)]);
        assert_eq!(negative.numbers(ValueType::I32), [(Instance(3), -1.0)]);
    }

    fn any_values() -> impl Strategy<Value = Values> {
        let block = (0u8.., prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(kind, bytes)| ValueBlock::new(ValueType(kind.into()), bytes).unwrap());
        let in_situ = prop::collection::vec(any::<(u32, u32)>(), 1..5).prop_map(|values| {
            Values::InSitu(
                values
                    .into_iter()
                    .map(|(i, word)| (Instance(i), word))
                    .collect(),
            )
        });
        let blocks = prop::collection::vec((any::<u32>(), block), 1..5).prop_map(|values| {
            Values::Blocks(
                values
                    .into_iter()
                    .map(|(i, block)| (Instance(i), block))
                    .collect(),
            )
        });
        let missing = (i32::MIN..=0).prop_map(|code| Values::Missing(Status(code)));
        prop_oneof![in_situ, blocks, missing]
    }

    proptest! {
        #[test]
        fn a_result_survives_the_wire(
            seconds: u32, sets in prop::collection::vec((any::<u32>(), any_values()), 0..5),
        ) {
            let sets: Vec<ValueSet> = sets
                .into_iter()
                .map(|(pmid, values)| ValueSet { pmid: PmId(pmid), values })
                .collect();
            round_trip(&HighresResult { seconds: -1, nanoseconds: 9, sets: sets.clone() });
            round_trip(&FetchResult { seconds, microseconds: 5, sets });
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = FetchResult::decode_body(&mut Reader::new(&body));
            let _ = HighresResult::decode_body(&mut Reader::new(&body));
        }
    }
}
