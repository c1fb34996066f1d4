//! What administrators may have the daemon do.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::admin::Hooks;
use crate::logging::Logging;
use crate::session::Shared;

/// What their orders reach.
pub(crate) struct Orders {
    pub(crate) shared: Arc<Shared>,
    pub(crate) logging: Logging,
    /// In seconds; 0 for none.
    pub(crate) timeout: Arc<watch::Sender<u64>>,
    /// Given when one wants the end.
    pub(crate) end: Arc<Notify>,
}

impl Hooks for Orders {
    fn update_tls(&self) -> Result<(), String> {
        let Some(certificates) = &self.shared.certificates else {
            return Err("virtproxyd does not listen for TLS".into());
        };
        let live = self.shared.live();
        let loaded = certificates.reload(&live.config.tls);
        let loaded = loaded.map_err(|error| error.to_string())?;
        tracing::info!(
            "an administrator had certificates read: {}",
            loaded.describe()
        );
        Ok(())
    }

    fn log_outputs(&self) -> String {
        self.logging.outputs()
    }

    fn log_filters(&self) -> String {
        self.logging.filters()
    }

    fn set_log_outputs(&self, outputs: &str) -> Result<(), String> {
        let set = self.logging.set_outputs(outputs);
        set.map_err(|error| error.to_string())
    }

    fn set_log_filters(&self, filters: &str) -> Result<(), String> {
        let set = self.logging.set_filters(filters);
        set.map_err(|error| error.to_string())
    }

    fn set_timeout(&self, seconds: u32) -> Result<(), String> {
        self.timeout.send_replace(seconds.into());
        Ok(())
    }

    fn shutdown(&self) {
        self.end.notify_one();
    }
}
