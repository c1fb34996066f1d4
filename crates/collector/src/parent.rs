//! Notices the end of the process that started this one.

use std::time::Duration;

use rustix::process::{Pid, getppid};

/// How often to look.
const PACE: Duration = Duration::from_millis(500);

/// The process that started this one.
pub(crate) struct Parent(Option<Pid>);

impl Parent {
    /// To be called early, while the parent surely still runs.
    pub(crate) fn remember() -> Parent {
        Parent(getppid())
    }

    /// Completes when the parent has ended: its children then belong to another process. Never,
    /// when it cannot end, being init or a process outside of this container.
    pub(crate) async fn ended(&self) {
        while getppid() == self.0 {
            tokio::time::sleep(PACE).await;
        }
    }
}
