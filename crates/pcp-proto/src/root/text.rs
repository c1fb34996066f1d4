//! Texts that fit into PDUs: bytes without a zero, and not too many.

use std::fmt;

use super::{MAX_LABEL, MAX_TEXT};

/// `MIN` to `MAX` bytes, none of them zero. They need not be UTF-8; [`fmt::Display`] shows what is
/// not printable as escapes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<'a, const MIN: usize, const MAX: usize>(&'a [u8]);

/// What a container is called: its id, its name, or a part of them.
pub type ContainerName<'a> = Text<'a, 1, MAX_TEXT>;

/// What a process is called in messages.
pub type Label<'a> = Text<'a, 1, MAX_LABEL>;

/// A program and its arguments, as in a line of `pmcd.conf`.
pub type Arguments<'a> = Text<'a, 1, MAX_TEXT>;

/// A host name, the path of a control group, or nothing.
pub type TextOrNone<'a> = Text<'a, 0, MAX_TEXT>;

/// Why bytes cannot be a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too few or too many bytes.
    #[error("{len} bytes are not {min} to {max}")]
    Length {
        /// How many there are.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// C programs would take it for the end.
    #[error("byte {0} is zero")]
    Zero(usize),
}

impl<'a, const MIN: usize, const MAX: usize> Text<'a, MIN, MAX> {
    /// Judges `bytes`.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, TextError> {
        match bytes.iter().position(|&byte| byte == 0) {
            Some(place) => Err(TextError::Zero(place)),
            None => Text::sized(bytes),
        }
    }

    /// What stands before the first zero, or all of it.
    ///
    /// # Errors
    /// [`TextError::Length`].
    pub fn until_zero(bytes: &'a [u8]) -> Result<Self, TextError> {
        let end = bytes.iter().position(|&byte| byte == 0);
        Text::sized(end.and_then(|end| bytes.get(..end)).unwrap_or(bytes))
    }

    fn sized(bytes: &'a [u8]) -> Result<Self, TextError> {
        let len = bytes.len();
        if (MIN..=MAX).contains(&len) {
            Ok(Text(bytes))
        } else {
            Err(TextError::Length {
                len,
                min: MIN,
                max: MAX,
            })
        }
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<const MAX: usize> Default for Text<'_, 0, MAX> {
    fn default() -> Self {
        Text(&[])
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<'_, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for Text<'_, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
