//! Advertises a daemon's TCP services by DNS-SD (RFC 6763), so that clients find it: through a
//! running Avahi, or, where there is none, with a responder of our own.
//!
//! An [`Advertisement`] lives in the background and never holds up or fails the daemon: what goes
//! wrong is logged and tried again. Avahi is noticed whenever it starts, restarts or ends.

mod avahi;
mod dbus;
mod patience;
mod reach;
mod responder;
mod service;
mod supervisor;

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use reach::Reach;
pub use service::Service;

use supervisor::Supervisor;

/// How long [`Advertisement::withdraw`] waits at most.
const FAREWELL: Duration = Duration::from_secs(2);

/// Services that are being advertised.
///
/// Dropping it withdraws them too, but nobody can wait for that.
#[derive(Debug)]
pub struct Advertisement {
    /// Dropped, it ends the task.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Advertisement {
    /// Advertises `services` on what `reach` allows, from a task of the current tokio runtime.
    ///
    /// Services of the same name and kind are told apart as `NAME`, `NAME #2` and so on, and so
    /// is one whose name another host has taken.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(services: impl IntoIterator<Item = Service>, reach: Reach) -> Advertisement {
        let supervisor = Supervisor::new(service::told_apart(services), reach);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(supervisor.run(stopped));
        Advertisement { stop, task }
    }

    /// Takes the services back from the network. Returns when that is done, or after two seconds.
    pub async fn withdraw(self) {
        let Advertisement { stop, mut task } = self;
        drop(stop);
        if tokio::time::timeout(FAREWELL, &mut task).await.is_err() {
            tracing::debug!(target: "discovery", "gave up waiting for the advertisement to be withdrawn");
            task.abort();
        }
    }
}
