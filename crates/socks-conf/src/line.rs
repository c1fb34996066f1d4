//! How a line is split: words between blanks, a comment behind ` #`, and the command behind ` :`.
//! What the words mean is not here.

use crate::Problem;

/// The longest line of a configuration, in bytes without the end of the line.
pub(crate) const MAX_LINE: usize = 1024;

/// The longest line of a file of user names.
pub(crate) const MAX_USER_LINE: usize = 1023;

/// The lines of a text with their numbers, from 1, without what ends them.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .enumerate()
        .map(|(before, line)| (before + 1, line.strip_suffix(b"\r").unwrap_or(line)))
}

/// What is left of a line.
pub(crate) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Words<'a> {
        Words {
            rest: line.trim_ascii(),
        }
    }

    /// Whether there is nothing but a comment.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(b"#")
    }

    /// The next word, which stays there; `None` before a comment, the command or the end.
    pub(crate) fn peek(&self) -> Result<Option<&'a str>, Problem> {
        if self.is_empty() || self.at_command() {
            return Ok(None);
        }
        let end = self.rest.iter().position(u8::is_ascii_whitespace);
        let word = &self.rest[..end.unwrap_or(self.rest.len())];
        str::from_utf8(word).map(Some).map_err(|_| Problem::NotText)
    }

    /// The next word.
    pub(crate) fn next(&mut self) -> Result<Option<&'a str>, Problem> {
        let word = self.peek()?;
        if let Some(word) = word {
            self.rest = self.rest[word.len()..].trim_ascii_start();
        }
        Ok(word)
    }

    /// The command, if it comes next: all the rest, where `#` begins no comment.
    pub(crate) fn command(&mut self) -> Result<Option<&'a str>, Problem> {
        if !self.at_command() {
            return Ok(None);
        }
        let command = self.rest[1..].trim_ascii_start();
        self.rest = &[];
        str::from_utf8(command)
            .map(Some)
            .map_err(|_| Problem::NotText)
    }

    /// `::` begins an IPv6 address.
    fn at_command(&self) -> bool {
        self.rest.starts_with(b":") && !self.rest.starts_with(b"::")
    }
}
