//! Ctrl-C and its kind: they end a chore in order instead of at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a sleeper looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// Turns true on SIGINT, SIGTERM and SIGHUP.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on these signals no longer end the process by themselves.
    pub(crate) fn watch() -> Result<Interrupt> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .with_context(|| format!("cannot catch signal {signal}"))?;
        }
        Ok(Interrupt(flag))
    }

    /// An error once a signal came.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.came(), "interrupted; everything was stopped");
        Ok(())
    }

    /// Sleeps, and says whether a signal cut it short.
    pub(crate) fn sleep(&self, length: Duration) -> bool {
        let start = Instant::now();
        while !self.came() && start.elapsed() < length {
            thread::sleep(LOOK);
        }
        self.came()
    }

    fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
