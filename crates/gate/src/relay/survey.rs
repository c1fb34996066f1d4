//! Asking the loops about the sessions that they carry now. A session costs nothing for it until
//! somebody asks.

use std::time::Duration;

use tokio::sync::oneshot;

use super::engine::Command;
use super::{Inspector, Relay};

/// What a session has moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes passed on to the server.
    pub to_server: u64,
    /// Bytes passed on to the client.
    pub to_client: u64,
    /// Frames from the client, as far as the inspector looked.
    pub client_frames: u64,
    /// Frames from the server, likewise.
    pub server_frames: u64,
    /// How long it has been relayed.
    pub lasted: Duration,
}

/// Looks at every session of a loop, in the loop's thread.
pub(crate) type Survey<I, T> = Box<dyn FnOnce(&mut dyn Iterator<Item = (&I, &T, Moved)>) + Send>;

impl<I: Inspector, T: Send + 'static> Relay<I, T> {
    /// Asks about all sessions: `note` is called in the loops' threads for each, so it must be
    /// quick, and what it gives is collected. A loop that has ended has no sessions.
    pub async fn survey<N: Send + 'static>(
        &self,
        note: impl Fn(&I, &T, Moved) -> N + Clone + Send + 'static,
    ) -> Vec<N> {
        let mut answers = Vec::new();
        for each in &self.loops {
            let (answer, answered) = oneshot::channel();
            let note = note.clone();
            let look = move |sessions: &mut dyn Iterator<Item = (&I, &T, Moved)>| {
                let notes = sessions.map(|(inspector, tag, moved)| note(inspector, tag, moved));
                let notes: Vec<N> = notes.collect();
                // Whoever asked may have lost patience.
                let _ = answer.send(notes);
            };
            if each.remote.send(Command::Survey(Box::new(look))).is_ok() {
                answers.push(answered);
            }
        }
        let mut notes = Vec::new();
        for answered in answers {
            notes.extend(answered.await.unwrap_or_default());
        }
        notes
    }
}
