//! The messages of a client, made in advance: what they say may be gone when they are sent.

use std::hint::black_box;
use std::ops::Range;

use crate::{v4, v5};

/// Room for the messages of one dialogue.
const CAPACITY: usize = if v4::MAX_SENT > v5::MAX_SENT {
    v4::MAX_SENT
} else {
    v5::MAX_SENT
};

/// Messages may hold a password, so each byte is overwritten as soon as it was sent, and all that is
/// left when the dialogue ends.
#[derive(Clone)]
pub(crate) struct Outbox {
    bytes: [u8; CAPACITY],
    filled: usize,
    /// What is to be sent now.
    pending: Range<usize>,
}

/// Where a message stands in its outbox.
pub(crate) type Message = Range<usize>;

impl Outbox {
    pub(crate) fn new() -> Outbox {
        Outbox {
            bytes: [0; CAPACITY],
            filled: 0,
            pending: 0..0,
        }
    }

    /// Puts a message, made of `parts`, behind the others.
    ///
    /// # Panics
    /// When there is no room. Those who make messages know that the parts fit.
    pub(crate) fn put(&mut self, parts: &[&[u8]]) -> Message {
        let start = self.filled;
        for part in parts {
            let end = self.filled + part.len();
            self.bytes[self.filled..end].copy_from_slice(part);
            self.filled = end;
        }
        start..self.filled
    }

    /// Begins to send a message.
    pub(crate) fn send(&mut self, message: Message) {
        self.pending = message;
    }

    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.pending.clone()]
    }

    /// So many bytes were sent; no more than were pending are counted.
    pub(crate) fn sent(&mut self, count: usize) {
        let end = self.pending.start + count.min(self.pending.len());
        self.wipe(self.pending.start..end);
        self.pending.start = end;
    }

    /// Nothing more will be sent.
    pub(crate) fn close(&mut self) {
        self.pending = 0..0;
        self.wipe(0..CAPACITY);
    }

    /// The compiler is told that the zeros matter, since nobody will read them.
    fn wipe(&mut self, range: Range<usize>) {
        self.bytes[range].fill(0);
        black_box(&mut self.bytes);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
impl Outbox {
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sent_one_at_a_time_and_piece_by_piece() {
        let mut outbox = Outbox::new();
        let first = outbox.put(&[b"ab", b"c"]);
        let second = outbox.put(&[b"de"]);
        assert_eq!(outbox.pending(), b"");
        outbox.send(first);
        assert_eq!(outbox.pending(), b"abc");
        outbox.sent(2);
        assert_eq!(outbox.pending(), b"c");
        outbox.sent(99);
        assert_eq!(outbox.pending(), b"");
        outbox.send(second);
        assert_eq!(outbox.pending(), b"de");
    }

    #[test]
    fn what_was_sent_is_overwritten_and_what_was_not_is_when_it_is_closed() {
        let mut outbox = Outbox::new();
        let message = outbox.put(&[b"secret", b"other"]);
        outbox.send(message);
        outbox.sent(6);
        assert!(!outbox.holds(b"secret") && outbox.holds(b"other"));
        outbox.close();
        assert_eq!(outbox.bytes, [0; CAPACITY]);
        assert_eq!(outbox.pending(), b"");
    }
}
