//! XDR (RFC 4506), as far as libvirt's RPC uses it: one cursor, one writer, one trait, one error.

/// The longest string that libvirt sends or takes, in bytes (`REMOTE_STRING_MAX`).
pub const STRING_MAX: usize = 4 * 1024 * 1024;

/// What stands in a frame behind its head: arguments, a return value, an error.
pub trait Payload: Sized {
    /// Writes the fields, one after the other.
    fn encode_to(&self, writer: &mut Writer);

    /// Reads the fields.
    ///
    /// # Errors
    /// A [`DecodeError`] that names the field; trailing bytes are left to [`Payload::decode`].
    fn decode_from(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The fields as they go over the wire.
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.encode_to(&mut writer);
        writer.into_bytes()
    }

    /// Reads a whole payload: the fields and nothing more.
    ///
    /// # Errors
    /// A [`DecodeError`] that names the field, or [`DecodeError::Trailing`].
    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let value = Self::decode_from(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Nothing: what calls without arguments and answers without a value carry.
impl Payload for () {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// Why bytes are not the value that they should be.
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
    /// A string, a list or a number of descriptors is over libvirt's limit.
    #[error("{field} has a length of {len}, over the limit of {limit}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length, in bytes or in elements.
        len: u32,
        /// The limit, in the same unit.
        limit: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{field} cannot be {value}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A string is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// A string holds a NUL. libvirt would see only what stands before it, so that two readers of
    /// the same frame would not agree on what it says.
    #[error("{0} holds a NUL byte")]
    Nul(&'static str),
    /// Bytes are left after the last field.
    #[error("{0} bytes are left after the last field")]
    Trailing(usize),
}

/// A cursor over the bytes of a payload.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `N` bytes: fixed-length opaque data (RFC 4506, section 4.9). `N` is a multiple of
    /// four wherever libvirt uses it, so that there is no padding.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] when fewer are left; `field` names them in the error.
    pub fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.too_short(N, field));
        };
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned 32-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.fixed(field).map(u32::from_be_bytes)
    }

    /// A signed 32-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.fixed(field).map(i32::from_be_bytes)
    }

    /// An unsigned 64-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.fixed(field).map(u64::from_be_bytes)
    }

    /// A signed 64-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.fixed(field).map(i64::from_be_bytes)
    }

    /// A double-precision number.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn f64(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        self.fixed(field).map(f64::from_be_bytes)
    }

    /// A yes or no that libvirt holds in an `int`, as it does everywhere but before optional data:
    /// all but zero is yes.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn int_bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        self.i32(field).map(|value| value != 0)
    }

    /// Optional data (RFC 4506, section 4.19), read by `read` if it is there.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`] when the mark before it is neither 0 nor 1, and those of `read`.
    pub fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.u32(field)? {
            0 => Ok(None),
            1 => read(self).map(Some),
            value => Err(DecodeError::BadValue {
                field,
                value: value.into(),
            }),
        }
    }

    /// A length of at most `limit` of things that take at least `each` bytes: never more than what
    /// is left can hold, so that memory can be set aside for it.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] or [`DecodeError::TooShort`].
    pub fn len(
        &mut self,
        limit: usize,
        each: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let len = self.u32(field)?;
        let too_long = DecodeError::TooLong { field, len, limit };
        let count = usize::try_from(len).map_err(|_| too_long.clone())?;
        if count > limit {
            return Err(too_long);
        }
        let needed = count.saturating_mul(each);
        if needed > self.rest.len() {
            return Err(self.too_short(needed, field));
        }
        Ok(count)
    }

    /// A list of at most `limit` elements of at least `each` bytes, each read by `read`.
    ///
    /// # Errors
    /// Those of [`Reader::len`] and of `read`.
    pub fn list<T>(
        &mut self,
        limit: usize,
        each: usize,
        field: &'static str,
        mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.len(limit, each, field)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// Variable-length opaque data of at most `limit` bytes, without its padding.
    ///
    /// # Errors
    /// Those of [`Reader::len`].
    pub fn opaque(&mut self, limit: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.len(limit, 1, field)?;
        let (bytes, rest) = self.rest.split_at(len);
        // What the padding holds is not judged: libvirt does not look at it either.
        let Some(rest) = rest.get(padding(len)..) else {
            return Err(self.too_short(len + padding(len), field));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// A string.
    ///
    /// # Errors
    /// Those of [`Reader::opaque`], [`DecodeError::NotText`] and [`DecodeError::Nul`].
    pub fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.opaque(STRING_MAX, field)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText(field))?;
        if text.contains('\0') {
            return Err(DecodeError::Nul(field));
        }
        Ok(text.to_owned())
    }

    /// A string that is only shown to people: what is not UTF-8 is replaced. A daemon that runs in
    /// another locale sends such messages.
    ///
    /// # Errors
    /// Those of [`Reader::opaque`].
    pub fn message(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.opaque(STRING_MAX, field)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Characters of which each takes four bytes: how `char data<N>` of libvirt's protocol files
    /// comes out. Only the last byte of each counts, since the rest depends on whether the sender's
    /// `char` has a sign.
    ///
    /// # Errors
    /// Those of [`Reader::len`].
    pub fn chars(&mut self, limit: usize, field: &'static str) -> Result<Vec<u8>, DecodeError> {
        self.list(limit, 4, field, |reader| {
            reader.fixed(field).map(|[_, _, _, byte]| byte)
        })
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

    fn too_short(&self, needed: usize, field: &'static str) -> DecodeError {
        DecodeError::TooShort {
            field,
            needed,
            available: self.rest.len(),
        }
    }
}

/// The growing bytes of a frame. Limits are not judged here: who makes values keeps to them.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends fixed-length opaque data, whose length is a multiple of four.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends an unsigned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.fixed(&value.to_be_bytes());
    }

    /// Appends a signed 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.fixed(&value.to_be_bytes());
    }

    /// Appends an unsigned 64-bit integer.
    pub fn u64(&mut self, value: u64) {
        self.fixed(&value.to_be_bytes());
    }

    /// Appends a signed 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.fixed(&value.to_be_bytes());
    }

    /// Appends a double-precision number.
    pub fn f64(&mut self, value: f64) {
        self.fixed(&value.to_be_bytes());
    }

    /// Appends a yes or no as an `int`.
    pub fn int_bool(&mut self, value: bool) {
        self.i32(value.into());
    }

    /// Appends optional data, written by `write` if it is there.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.u32(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Appends a length. None reaches the largest number: no frame could hold so much.
    pub fn len(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Appends a list, each element written by `write`.
    pub fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.len(list.len());
        for element in list {
            write(self, element);
        }
    }

    /// Appends variable-length opaque data, padded with zeros to a multiple of four.
    pub fn opaque(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.fixed(bytes);
        self.bytes
            .resize(self.bytes.len() + padding(bytes.len()), 0);
    }

    /// Appends a string.
    pub fn string(&mut self, text: &str) {
        self.opaque(text.as_bytes());
    }

    /// Appends characters of four bytes each, as a machine does whose `char` has a sign.
    pub fn chars(&mut self, bytes: &[u8]) {
        self.list(bytes, |writer, byte| {
            writer.i32(byte.cast_signed().into());
        });
    }

    /// The bytes so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// How many bytes pad `len` to a multiple of four.
fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

#[cfg(test)]
mod tests;
