//! The numbers as metrics of the pmcd on this host, through its PMDA for memory-mapped values. What
//! the metrics are is in [`table`]; here they are kept up to date.

mod table;

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mmv::{CreateError, MmvFile};

use crate::counters::Numbers;

/// The name that the program of PCP 6 gives to its file of the same kind, which ours replaces.
const FILE: &str = "server";

/// How old the values get.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the metrics up to date until it is dropped. It has a thread of its own, so that a slow disk
/// holds up nobody.
#[derive(Debug)]
pub(crate) struct Exporter {
    /// The thread ends when this is gone.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Makes the file in `folder` and begins to update it.
    pub(crate) fn start(folder: &Path, numbers: Numbers) -> Result<Exporter> {
        let catalogue = table::catalogue()?;
        let mut file = MmvFile::create(folder, FILE, &catalogue).map_err(explain)?;
        let (stop, stopped) = channel();
        let keep = move || loop {
            if let Err(error) = file.update(&table::values(&numbers)) {
                let error = gate::describe(&error);
                tracing::warn!("the metrics of pmcd's pmproxy PMDA are gone: {error}");
                return;
            }
            match stopped.recv_timeout(INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        };
        let thread = Builder::new().name("metrics".into()).spawn(keep);
        Ok(Exporter {
            stop: Some(stop),
            thread: Some(thread.context("cannot start a thread")?),
        })
    }
}

/// In the words of the log.
fn explain(error: CreateError) -> anyhow::Error {
    match error {
        CreateError::System { path, source } => {
            anyhow!(
                "cannot make {}: {}",
                path.display(),
                gate::describe(&source)
            )
        }
        CreateError::Taken { .. } => error.into(),
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps the metrics had panicked");
        }
    }
}
