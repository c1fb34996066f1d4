//! Cuts a stream of bytes into whole PDUs, however the bytes arrive.

use bytes::{Buf, Bytes, BytesMut};

use crate::header::{LengthError, PduHeader, PduLimit};

/// Collects bytes and gives whole PDUs. It never sets memory aside for bytes that a length field
/// only promises.
#[derive(Debug)]
pub struct PduAssembler {
    limit: PduLimit,
    bytes: BytesMut,
}

impl PduAssembler {
    /// Refuses PDUs over `limit`.
    pub fn new(limit: PduLimit) -> PduAssembler {
        PduAssembler {
            limit,
            bytes: BytesMut::new(),
        }
    }

    /// Takes the bytes that have come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole PDU, header included, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`LengthError`]: the stream cannot be made sense of from here on.
    pub fn next_pdu(&mut self) -> Result<Option<Bytes>, LengthError> {
        let Some(len) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = self.limit.check(u32::from_be_bytes(*len))? as usize;
        if self.bytes.len() < len.max(PduHeader::SIZE) {
            return Ok(None);
        }
        let pdu = self.bytes.split_to(len).freeze();
        if !self.bytes.has_remaining() {
            // Let go of the block that the PDU keeps alive.
            self.bytes = BytesMut::new();
        }
        Ok(Some(pdu))
    }

    /// Bytes that wait for the rest of their PDU.
    pub fn pending(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorPdu, Pdu, Status};
    use proptest::prelude::*;

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_body_comes() {
        let mut assembler = PduAssembler::new(PduLimit::DEFAULT);
        assembler.push(&[0x7f, 0xff, 0xff, 0xff]);
        let refused = assembler.next_pdu();
        assert_eq!(
            refused,
            Err(LengthError::TooLong {
                len: 0x7fff_ffff,
                limit: 65536
            })
        );
    }

    proptest! {
        #[test]
        fn pdus_come_out_whole_however_they_are_cut(
            codes in prop::collection::vec(any::<i32>(), 1..9),
            cuts in prop::collection::vec(1usize..40, 1..40),
        ) {
            let pdus: Vec<Vec<u8>> =
                codes.iter().map(|&code| ErrorPdu::Plain(Status(code)).encode(0)).collect();
            let stream = pdus.concat();
            let mut assembler = PduAssembler::new(PduLimit::DEFAULT);
            let mut seen = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                assembler.push(piece);
                rest = left;
                while let Some(pdu) = assembler.next_pdu().unwrap() {
                    seen.push(pdu.to_vec());
                }
            }
            prop_assert_eq!(seen, pdus);
            prop_assert_eq!(assembler.pending(), 0);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut assembler = PduAssembler::new(PduLimit::DEFAULT);
            assembler.push(&bytes);
            while let Ok(Some(pdu)) = assembler.next_pdu() {
                prop_assert!(pdu.len() >= PduHeader::SIZE);
            }
        }
    }
}
