//! One PDU out of a stream: cutting it off, reading its fields, putting it together.

use super::error::RootError;
use super::header::{HEADER_LEN, Header, PduType, Version};
use super::text::Text;
use crate::Status;

/// What stands at the beginning of the bytes that have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Only a part of a PDU: at least so many more bytes are needed, never more than belong to it.
    Missing(usize),
    /// A whole PDU.
    Whole {
        /// What it says.
        pdu: T,
        /// The version of its sender.
        version: Version,
        /// How many of the bytes it takes; what follows is the next PDU.
        len: usize,
    },
}

/// A whole PDU: its header, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) header: Header,
    body: &'a [u8],
}

/// The frame at the beginning of `bytes`, or how many bytes are missing.
pub(super) fn frame(
    bytes: &[u8],
    accepts: fn(PduType) -> Result<(), RootError>,
) -> Result<Result<Frame<'_>, usize>, RootError> {
    let Some(header) = Header::decode(bytes, accepts)? else {
        return Ok(Err(HEADER_LEN - bytes.len()));
    };
    let Some(body) = bytes.get(HEADER_LEN..header.len) else {
        return Ok(Err(header.len - bytes.len()));
    };
    Ok(Ok(Frame { header, body }))
}

impl<'a> Frame<'a> {
    /// The first `N` integers of the body, and what follows.
    pub(super) fn fields<const N: usize>(&self) -> Result<([i32; N], &'a [u8]), RootError> {
        let (chunks, _) = self.body.as_chunks::<4>();
        // The length of each type has been judged, so that its fields are there.
        let Some((fields, _)) = chunks.split_first_chunk::<N>() else {
            return Err(self.overrun("fields", 4 * N, self.body.len()));
        };
        let rest = self.body.get(4 * N..).unwrap_or_default();
        Ok((fields.map(i32::from_ne_bytes), rest))
    }

    /// A text of `stated` bytes that must be all of `bytes`.
    pub(super) fn text<const MIN: usize, const MAX: usize>(
        &self,
        field: &'static str,
        stated: i32,
        bytes: &'a [u8],
    ) -> Result<Text<'a, MIN, MAX>, RootError> {
        let Ok(len) = usize::try_from(stated) else {
            return Err(self.bad_value(field, stated));
        };
        if len > bytes.len() {
            return Err(self.overrun(field, len, bytes.len()));
        }
        if len < bytes.len() {
            return Err(RootError::Trailing {
                pdu_type: self.header.pdu_type,
                count: bytes.len() - len,
            });
        }
        Text::until_zero(bytes).map_err(|_| self.bad_value(field, stated))
    }

    pub(super) fn bad_value(&self, field: &'static str, value: i32) -> RootError {
        RootError::BadValue {
            pdu_type: self.header.pdu_type,
            field,
            value,
        }
    }

    fn overrun(&self, field: &'static str, stated: usize, available: usize) -> RootError {
        RootError::Overrun {
            pdu_type: self.header.pdu_type,
            field,
            stated,
            available,
        }
    }
}

/// Puts a PDU together.
pub(super) struct Builder {
    header: Header,
    body: Vec<u8>,
}

impl Builder {
    pub(super) fn new(pdu_type: PduType, version: Version) -> Builder {
        Builder {
            header: Header {
                pdu_type,
                len: HEADER_LEN,
                status: Status::OK,
                version,
            },
            body: Vec::new(),
        }
    }

    pub(super) fn status(mut self, status: Status) -> Builder {
        self.header.status = status;
        self
    }

    pub(super) fn field(mut self, value: i32) -> Builder {
        self.body.extend(value.to_ne_bytes());
        self
    }

    /// The length of a text, which no text has too much of for 32 bits.
    pub(super) fn len_of(self, text: &[u8]) -> Builder {
        self.field(i32::try_from(text.len()).unwrap_or(i32::MAX))
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Builder {
        self.body.extend_from_slice(bytes);
        self
    }

    pub(super) fn zeros(mut self, count: usize) -> Builder {
        self.body.resize(self.body.len() + count, 0);
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.header.len = HEADER_LEN + self.body.len();
        let mut pdu = Vec::with_capacity(self.header.len);
        for field in self.header.encode() {
            pdu.extend(field.to_ne_bytes());
        }
        pdu.append(&mut self.body);
        pdu
    }
}
