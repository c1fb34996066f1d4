//! The seam between the engine and a protocol: who looks at the heads of frames.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Outbox, Side};

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
    /// Pass the frame on, and behind it single bytes of which each carries a descriptor. A byte
    /// without one ends the session, and so does a receiver that is not
    /// [`Leg::passing`](super::Leg::passing).
    PassWith {
        /// The frame's length in bytes, without those that carry descriptors; at least 1.
        len: u64,
        /// How many descriptors follow it.
        descriptors: u8,
    },
    /// Throw the frame away, and the bytes and descriptors that follow it.
    Swallow {
        /// As for [`Verdict::PassWith`].
        len: u64,
        /// As for [`Verdict::PassWith`].
        descriptors: u8,
    },
    /// Read and judge nothing more from this side for now. The same head is shown again each time
    /// that a frame of the other side was judged, and after each [`Inspector::pulse`].
    Pause,
    /// Pass on everything that comes from this side from here on, without another look. What is
    /// put into the [`Outbox`] for the other side is then lost, since no place for it is known.
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

    /// Whether the protocol knows no half-close. The end of the client's stream is then the end of
    /// the session, at once. After the end of the server's stream the client is given what is left
    /// for it and told that nothing more comes, and what it still sends is thrown away.
    const WHOLE_ENDS: bool = false;

    /// The session enters a loop, whose tally this is. Called once, before the first look.
    fn enter(&mut self, _tally: &Arc<Self::Tally>) {}

    /// Judges the frame from `side` that starts with `head`: all bytes of it that have come, up to
    /// [`MAX_HEAD`]. Frames of its own, to either side, go into `out`.
    fn inspect(&mut self, side: Side, head: &[u8], out: &mut Outbox) -> Verdict<Self::Refusal>;

    /// How often [`Inspector::pulse`] is to be called, if at all. It is asked after each turn of the
    /// session until there is an interval, and again after each pulse.
    fn pulse_interval(&self) -> Option<Duration> {
        None
    }

    /// An interval has passed. `heard` tells whether anything has come from the client in it. What
    /// goes to a side for which `out` is [full](Outbox::is_full) is lost.
    ///
    /// # Errors
    /// The reason for which the session must end, as if the client had sent something wrong.
    fn pulse(&mut self, _heard: bool, _out: &mut Outbox) -> Result<(), Self::Refusal> {
        Ok(())
    }
}
