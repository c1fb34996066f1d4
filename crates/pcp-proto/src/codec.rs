//! Reading and writing the bodies of PDUs: one cursor, one writer, one trait, one error.

use crate::header::{PduHeader, PduType};

/// A PDU that has a body this crate understands.
pub trait Pdu: Sized {
    /// The type that stands in the header.
    const TYPE: PduType;

    /// Writes the body, without the header.
    fn encode_body(&self, body: &mut Writer);

    /// Reads the body, without the header.
    ///
    /// # Errors
    /// A [`DecodeError`] that names the field; trailing bytes are left to [`Pdu::decode`].
    fn decode_body(body: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The whole PDU as it goes over the wire.
    fn encode(&self, from: u32) -> Vec<u8> {
        let mut writer = Writer {
            bytes: vec![0; PduHeader::SIZE],
        };
        self.encode_body(&mut writer);
        writer.finish(Self::TYPE, from)
    }

    /// Reads a whole PDU: header, body and nothing more.
    ///
    /// # Errors
    /// When the type is another, the length is not that of `pdu`, or the body is malformed.
    fn decode(pdu: &[u8]) -> Result<Self, DecodeError> {
        let header = PduHeader::decode(pdu)?;
        if header.pdu_type != Self::TYPE {
            return Err(DecodeError::OtherType {
                expected: Self::TYPE,
                found: header.pdu_type,
            });
        }
        if header.len as usize != pdu.len() {
            return Err(DecodeError::Length {
                stated: header.len,
                actual: pdu.len(),
            });
        }
        let mut body = Reader::new(&pdu[PduHeader::SIZE..]);
        let value = Self::decode_body(&mut body)?;
        body.finish()?;
        Ok(value)
    }
}

/// Why bytes are not the PDU that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("{field} needs {needed} bytes, {available} are left")]
    TooShort {
        /// The field that is cut.
        field: &'static str,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Bytes are left after the last field.
    #[error("{0} bytes are left after the last field")]
    Trailing(usize),
    /// A field has a value that it cannot have.
    #[error("{field} cannot be {value}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// The header names another type.
    #[error("expected a PDU of type {expected}, found {found}")]
    OtherType {
        /// The type that was asked for.
        expected: PduType,
        /// The type in the header.
        found: PduType,
    },
    /// The header's length is not that of the bytes.
    #[error("the header says {stated} bytes, there are {actual}")]
    Length {
        /// The length field.
        stated: u32,
        /// The number of bytes given.
        actual: usize,
    },
}

/// A cursor over the bytes of a body.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: bytes,
            total: bytes.len(),
        }
    }

    /// Where the cursor stands in a PDU whose body this reads: bytes so far, the header included.
    pub fn position(&self) -> usize {
        PduHeader::SIZE + self.total - self.rest.len()
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes; `field` names them in the error.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] when fewer are left.
    pub fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::TooShort {
                field,
                needed: count,
                available: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::TooShort {
                field,
                needed: N,
                available: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned 32-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A signed 32-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// An unsigned 16-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// A signed 64-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// A count of things that take at least `each` bytes: never more than what is left can hold,
    /// so that memory can be set aside for it.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`] when it is negative, [`DecodeError::TooShort`] when it is too large.
    pub fn count(&mut self, each: usize, field: &'static str) -> Result<usize, DecodeError> {
        let value = self.i32(field)?;
        self.holds(value, each, field)
    }

    /// Judges a count that was read before: as [`Reader::count`].
    ///
    /// # Errors
    /// Those of [`Reader::count`].
    pub fn holds(
        &self,
        value: i32,
        each: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let count = usize::try_from(value).map_err(|_| DecodeError::BadValue {
            field,
            value: value.into(),
        })?;
        let needed = count.saturating_mul(each);
        if needed > self.rest.len() {
            return Err(DecodeError::TooShort {
                field,
                needed,
                available: self.rest.len(),
            });
        }
        Ok(count)
    }

    /// A text of `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], or [`DecodeError::NotText`] when it is not UTF-8.
    pub fn text(&mut self, count: usize, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(count, field)?).map_err(|_| DecodeError::NotText(field))
    }

    /// A text after its length, padded to a multiple of four.
    ///
    /// # Errors
    /// Those of [`Reader::count`] and [`Reader::text`].
    pub fn padded_text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let len = self.count(1, field)?;
        let text = self.text(len, field)?;
        self.padding(len)?;
        Ok(text)
    }

    /// Skips the bytes that pad `len` to a multiple of four.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn padding(&mut self, len: usize) -> Result<(), DecodeError> {
        self.bytes(padding(len), "padding").map(|_| ())
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`].
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// The growing bytes of a PDU.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends an unsigned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a signed 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends an unsigned 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends a signed 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a length or a count, which the protocol holds in 32 signed bits; larger ones cannot
    /// be sent, since no PDU can hold so much.
    pub fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    /// Appends a text after its length, padded to a multiple of four.
    pub fn padded_text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
        self.padding(text.len());
    }

    /// Pads what was `len` bytes long to a multiple of four, with the `~` that libpcp uses.
    pub fn padding(&mut self, len: usize) {
        self.bytes.resize(self.bytes.len() + padding(len), b'~');
    }

    /// Bytes so far, the header included.
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    fn finish(mut self, pdu_type: PduType, from: u32) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let header = PduHeader {
            len,
            pdu_type,
            from,
        };
        self.bytes[..PduHeader::SIZE].copy_from_slice(&header.encode());
        self.bytes
    }
}

/// How many bytes pad `len` to a multiple of four.
pub(crate) fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_never_promises_more_than_the_bytes_that_are_left() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        let refused = Reader::new(&bytes).count(4, "numpmid");
        assert!(matches!(
            refused,
            Err(DecodeError::TooShort {
                field: "numpmid",
                ..
            })
        ));
        let negative = Reader::new(&[0xff; 8]).count(4, "numpmid");
        assert_eq!(
            negative,
            Err(DecodeError::BadValue {
                field: "numpmid",
                value: -1
            })
        );
    }

    #[test]
    fn padding_reaches_the_next_multiple_of_four() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
    }
}
