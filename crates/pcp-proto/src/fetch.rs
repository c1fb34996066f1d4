//! The FETCH and HIGHRES_FETCH PDUs: they ask for values, stamped in microseconds or nanoseconds.

use crate::codec::{DecodeError, Pdu, Reader, Writer};
use crate::{PduType, PmId};

/// Asks for the values of metrics, for the instances of the context's [`Profile`](crate::Profile).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The client's number for the context, as in its profile.
    pub context: u32,
    /// The metrics, in the order in which the result will have them.
    pub pmids: Vec<PmId>,
}

/// As [`Fetch`], and the answer is a [`HighresResult`](crate::HighresResult).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighresFetch(pub Fetch);

impl Fetch {
    fn write(&self, body: &mut Writer) {
        body.u32(self.context);
        // A time stamp once stood here.
        body.u32(0);
        body.u32(0);
        PmId::write_list(&self.pmids, body);
    }

    fn read(body: &mut Reader<'_>) -> Result<Fetch, DecodeError> {
        let context = body.u32("context")?;
        body.bytes(8, "time")?;
        Ok(Fetch {
            context,
            pmids: PmId::read_list(body)?,
        })
    }
}

impl Pdu for Fetch {
    const TYPE: PduType = PduType::FETCH;

    fn encode_body(&self, body: &mut Writer) {
        self.write(body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Fetch::read(body)
    }
}

impl Pdu for HighresFetch {
    const TYPE: PduType = PduType::HIGHRES_FETCH;

    fn encode_body(&self, body: &mut Writer) {
        self.0.write(body);
    }

    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Fetch::read(body).map(HighresFetch)
    }
}

impl PmId {
    /// Writes a count and identifiers.
    pub(crate) fn write_list(pmids: &[PmId], body: &mut Writer) {
        body.count(pmids.len());
        for pmid in pmids {
            body.u32(pmid.0);
        }
    }

    /// Reads what [`PmId::write_list`] writes.
    pub(crate) fn read_list(body: &mut Reader<'_>) -> Result<Vec<PmId>, DecodeError> {
        let count = body.count(4, "number of metrics")?;
        (0..count)
            .map(|_| body.u32("metric identifier").map(PmId))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pdu, round_trip};
    use proptest::prelude::*;

    #[test]
    fn the_fetch_of_a_real_client_is_understood() {
        // Recorded from pminfo 6.0.3.
        let body = "00000000 00000000 00000000 00000002 0f000800 0f000020";
        let bytes = pdu(PduType::HIGHRES_FETCH, body);
        let wanted = Fetch {
            context: 0,
            pmids: vec![PmId::new(60, 2, 0), PmId::new(60, 0, 32)],
        };
        assert_eq!(
            HighresFetch::decode(&bytes),
            Ok(HighresFetch(wanted.clone()))
        );
        assert_eq!(HighresFetch(wanted.clone()).encode(0), bytes);
        assert_eq!(Fetch::decode(&pdu(PduType::FETCH, body)), Ok(wanted));
    }

    proptest! {
        #[test]
        fn a_fetch_survives_the_wire(
            context: u32, pmids in prop::collection::vec(any::<u32>(), 0..20),
        ) {
            let fetch = Fetch { context, pmids: pmids.into_iter().map(PmId).collect() };
            round_trip(&fetch);
            round_trip(&HighresFetch(fetch));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = Fetch::decode_body(&mut Reader::new(&body));
        }
    }
}
