//! The header, and the assembler that cuts a stream into PDUs. The first byte says into how long
//! pieces the stream is cut: that must change nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pcp_proto::{LengthError, PduAssembler, PduHeader, PduLimit};

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, stream)) = bytes.split_first() else {
        return;
    };
    let whole = assemble(stream, stream.len().max(1));
    assert_eq!(assemble(stream, usize::from(piece).max(1)), whole);
    for pdu in &whole.0 {
        let header = PduHeader::decode(pdu).expect("a PDU has a header");
        assert_eq!(header.len as usize, pdu.len());
        assert_eq!(header.encode(), pdu[..PduHeader::SIZE]);
    }
});

/// The PDUs of a stream that comes in pieces, what is left, and why it ended.
fn assemble(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<usize, LengthError>) {
    let mut assembler = PduAssembler::new(PduLimit::DEFAULT);
    let mut pdus = Vec::new();
    for bytes in stream.chunks(piece) {
        assembler.push(bytes);
        loop {
            match assembler.next_pdu() {
                Ok(Some(pdu)) => pdus.push(pdu.to_vec()),
                Ok(None) => break,
                Err(error) => return (pdus, Err(error)),
            }
        }
    }
    (pdus, Ok(assembler.pending()))
}
