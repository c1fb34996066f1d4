//! The certificates of TLS in a running daemon, and how they are exchanged. What is read is in
//! `load.rs`, what libvirt asks of a certificate in `sanity.rs`, a client's handshake in `channel.rs`.

pub(crate) mod channel;
mod load;
mod sanity;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub(crate) use load::{LoadError, Loaded};

use crate::config;

/// How often expiry is looked at.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where files are that the configuration does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) authority: PathBuf,
    /// The revocation list; it may be missing.
    pub(crate) revocations: PathBuf,
}

impl Places {
    /// Those of the system's daemon.
    pub(crate) fn system() -> Places {
        Places {
            key: "/etc/pki/libvirt/private/serverkey.pem".into(),
            certificate: "/etc/pki/libvirt/servercert.pem".into(),
            authority: "/etc/pki/CA/cacert.pem".into(),
            revocations: "/etc/pki/CA/cacrl.pem".into(),
        }
    }

    /// Those of a user's daemon: each is the system's if the user has none. Key and certificate
    /// go together.
    pub(crate) fn session(home: &Path) -> Places {
        Places::with_own(&home.join(".pki/libvirt"), Places::system())
    }

    fn with_own(folder: &Path, mut places: Places) -> Places {
        let own = |name| Some(folder.join(name)).filter(|path| path.exists());
        if let Some(authority) = own("cacert.pem") {
            places.authority = authority;
        }
        if let Some(revocations) = own("cacrl.pem") {
            places.revocations = revocations;
        }
        if let (Some(key), Some(certificate)) = (own("serverkey.pem"), own("servercert.pem")) {
            (places.key, places.certificate) = (key, certificate);
        }
        places
    }
}

/// What new handshakes use; SIGHUP and the admin interface can exchange it.
#[derive(Debug)]
pub(crate) struct Certificates {
    places: Places,
    current: RwLock<Arc<Loaded>>,
}

impl Certificates {
    /// Reads what the configuration names, or else what is at the usual places.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn load(settings: &config::Tls, places: &Places) -> Result<Loaded, LoadError> {
        Loaded::read(settings, places)
    }

    /// Begins with what is at hand. `places` are for later reloads.
    pub(crate) fn new(loaded: Loaded, places: Places) -> Certificates {
        Certificates {
            places,
            current: RwLock::new(Arc::new(loaded)),
        }
    }

    /// What new handshakes are to use.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads all anew and gives it to new handshakes; sessions keep what they began with.
    ///
    /// # Errors
    /// All that is wrong; what was there before stays in use.
    pub(crate) fn reload(&self, settings: &config::Tls) -> Result<Arc<Loaded>, LoadError> {
        let loaded = Arc::new(Certificates::load(settings, &self.places)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::clone(&loaded);
        Ok(loaded)
    }

    /// Warns in the log, at once and once a day, of certificates that are not valid or soon will not
    /// be.
    pub(crate) async fn watch(&self) {
        loop {
            self.warn();
            tokio::time::sleep(DAY).await;
        }
    }

    fn warn(&self) {
        for warning in self.current().warnings() {
            tracing::warn!("{warning}");
        }
    }
}
