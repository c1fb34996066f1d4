//! What secure channels are made with in a running daemon, and how it is exchanged. Where it comes
//! from is in `sources.rs`; the channels themselves are `gate`'s.

mod nss;
mod sources;
mod tls_conf;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::secure_channels::SecureChannels;
use nss::Database;
pub(crate) use sources::Sources;
pub(crate) use tls_conf::TlsSettings;

/// How often a certificate is looked at that may be about to end.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a look at the sources gives.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) channels: SecureChannels,
    /// What the log should say.
    pub(crate) remarks: Vec<String>,
}

/// The secure channels of a running daemon; SIGHUP can exchange them.
#[derive(Debug)]
pub(crate) struct Certificates {
    sources: Sources,
    current: RwLock<Arc<SecureChannels>>,
}

impl Certificates {
    pub(crate) fn new(sources: Sources, channels: SecureChannels) -> Certificates {
        Certificates {
            sources,
            current: RwLock::new(Arc::new(channels)),
        }
    }

    /// What new handshakes are to use.
    pub(crate) fn current(&self) -> Arc<SecureChannels> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the certificates anew and gives remarks for the log.
    ///
    /// # Errors
    /// Where that fails, those from before stay in use.
    pub(crate) fn reload(&self, enabled: bool, settings: &TlsSettings) -> Result<Vec<String>> {
        let found = self.sources.load(enabled, settings)?;
        if enabled && found.channels.server.is_none() && self.are_of_usual_database() {
            // What was optional once is in use now.
            bail!("{}", found.remarks.join("; "));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(found.channels);
        Ok(found.remarks)
    }

    fn are_of_usual_database(&self) -> bool {
        let usual = Database::usual().source();
        let current = self.current();
        let server = current.server.as_ref();
        server.is_some_and(|server| server.source == usual)
    }

    /// Warns of the end of the certificate, now and once a day.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut days = tokio::time::interval(DAY);
        loop {
            days.tick().await;
            self.warn();
        }
    }

    /// Warns if the certificate is not valid or soon will not be.
    pub(crate) fn warn(&self) {
        if let Some(warning) = self.expiry_warning() {
            tracing::warn!("{warning}");
        }
    }

    /// What to tell if the certificate is not valid or soon will not be.
    pub(crate) fn expiry_warning(&self) -> Option<String> {
        self.current().server.as_ref()?.expiry_warning()
    }
}
