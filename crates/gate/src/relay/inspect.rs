//! The seam between the engine and a protocol: who looks at the heads of frames.

use std::fmt;
use std::sync::Arc;

use super::Side;

/// The most bytes of a frame's head that an inspector may ask for.
pub const MAX_HEAD: usize = 32;

/// What to do with the frame whose head was shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// Show at least this many bytes of the head, at most [`MAX_HEAD`]; until they have come,
    /// nothing of the frame is passed on.
    Want(usize),
    /// Pass the frame on. It is this many bytes long, counted from its first; at least 1.
    Pass(u64),
    /// Pass on everything that comes from this side from here on, without another look.
    PassAll,
    /// End the session.
    End(R),
}

/// Looks at the frames of one session. The engine calls it with what there is of the head of the
/// next frame, beginning with nothing, until it has decided.
///
/// An inspector that answers [`Verdict::PassAll`] to an empty head costs nothing from then on.
pub trait Inspector: Send + 'static {
    /// Why this inspector ends sessions.
    type Refusal: fmt::Display + Send + 'static;

    /// What all inspectors of one loop count together; `()` for nothing. Only the loop's own thread
    /// writes it, so that atomics that are loaded and stored do: counting needs no locks and costs
    /// no traffic between cores. [`Relay::tallies`](super::Relay::tallies) gives those of all loops.
    type Tally: Default + Send + Sync + 'static;

    /// The session enters a loop, whose tally this is. Called once, before the first look.
    fn enter(&mut self, _tally: &Arc<Self::Tally>) {}

    /// Judges the frame from `side` that starts with `head`: all bytes of it that have come, up to
    /// [`MAX_HEAD`].
    fn inspect(&mut self, side: Side, head: &[u8]) -> Verdict<Self::Refusal>;
}
