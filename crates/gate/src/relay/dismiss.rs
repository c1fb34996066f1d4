//! Ending sessions from outside: an administrator's word, or a setting that shuts somebody out.

use super::engine::Command;
use super::{Inspector, Relay};

/// Tells which sessions of a loop are to end, in the loop's thread.
pub(crate) type Which<I, T> = Box<dyn Fn(&I, &T) -> bool + Send>;

impl<I: Inspector, T: Send + 'static> Relay<I, T> {
    /// Ends the sessions for which `which` is true, with [`End::Dismissed`](super::End::Dismissed).
    /// It is called in the loops' threads for every session, so it must be quick. Sessions that are
    /// handed over before this call are among them, later ones are not.
    pub fn dismiss(&self, which: impl Fn(&I, &T) -> bool + Clone + Send + 'static) {
        for each in &self.loops {
            // A loop that has ended has no sessions.
            let _ = each.remote.send(Command::Dismiss(Box::new(which.clone())));
        }
    }
}
