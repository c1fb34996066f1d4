//! Frames that an inspector sends by itself, as long as they wait for a place between those that pass.

use super::Side;

/// Above this many waiting bytes for one side, no further frame is judged in either direction.
pub(crate) const FULL: usize = 4 * 1024;

/// What a loop keeps at most for the next session that answers something.
const KEPT: usize = 16 * 1024;

/// Frames that an inspector sends. They go to their side at the next place between two frames, before
/// the next one that passes, and never in the middle of one.
#[derive(Debug, Default)]
pub struct Outbox {
    to_client: Waiting,
    to_server: Waiting,
}

/// What waits for one side.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Where in the bytes each frame ends.
    ends: Vec<usize>,
}

/// The sides for which an outbox was full, and with how many frames.
pub(crate) struct Mark([(Side, Option<usize>); 2]);

impl Outbox {
    /// Sends a whole frame to one side.
    pub fn send(&mut self, to: Side, frame: &[u8]) {
        if !frame.is_empty() {
            let waiting = self.of_mut(to);
            waiting.bytes.extend_from_slice(frame);
            waiting.ends.push(waiting.bytes.len());
        }
    }

    /// The frames that wait for one side, one behind the other.
    pub fn waiting(&self, to: Side) -> &[u8] {
        &self.of(to).bytes
    }

    /// Whether so much waits for one side that nothing more is judged before it is gone.
    pub fn is_full(&self, to: Side) -> bool {
        self.of(to).bytes.len() > FULL
    }

    /// Whether nothing more may be judged.
    pub(crate) fn is_blocking(&self) -> bool {
        self.is_full(Side::Client) || self.is_full(Side::Server)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.to_client.bytes.is_empty() && self.to_server.bytes.is_empty()
    }

    /// The frames that wait for one side, each by itself.
    pub(crate) fn frames(&self, to: Side) -> impl Iterator<Item = &[u8]> {
        let Waiting { bytes, ends } = self.of(to);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts
            .zip(ends.iter().copied())
            .filter_map(|(start, end)| bytes.get(start..end))
    }

    /// Forgets what waits for one side.
    pub(crate) fn clear(&mut self, to: Side) {
        let waiting = self.of_mut(to);
        waiting.bytes.clear();
        waiting.bytes.shrink_to(KEPT);
        waiting.ends.clear();
        waiting.ends.shrink_to(KEPT);
    }

    /// How many frames wait for each side for which the outbox is full.
    pub(crate) fn mark(&self) -> Mark {
        let full = |side| self.is_full(side).then_some(self.of(side).ends.len());
        Mark([Side::Client, Side::Server].map(|side| (side, full(side))))
    }

    /// Forgets what has come for sides for which the outbox was full.
    pub(crate) fn forget_beyond(&mut self, mark: &Mark) {
        for (side, frames) in mark.0 {
            if let Some(frames) = frames {
                let waiting = self.of_mut(side);
                waiting.ends.truncate(frames);
                let len = waiting.ends.last().copied().unwrap_or(0);
                waiting.bytes.truncate(len);
            }
        }
    }

    fn of(&self, to: Side) -> &Waiting {
        match to {
            Side::Client => &self.to_client,
            Side::Server => &self.to_server,
        }
    }

    fn of_mut(&mut self, to: Side) -> &mut Waiting {
        match to {
            Side::Client => &mut self.to_client,
            Side::Server => &mut self.to_server,
        }
    }
}
