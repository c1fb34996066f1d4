//! The server's side of SASL, over the system's libsasl2 (Cyrus SASL).
//!
//! [`Sasl::load`] finds the library at run time, once for the process, so that a daemon without SASL
//! runs without it. A [`Session`] is one client's way through a mechanism, and its security layer
//! after that. What a mechanism needs (users' passwords, Kerberos' keys) is in the system's own
//! configuration: `/etc/sasl2/NAME.conf` for the name of the application.
//!
//! Calls may block, on files, `saslauthd`, name servers or a KDC. A [`Session`] can be moved to a
//! thread where that does not matter and back again.

#![deny(unsafe_code)]

mod error;
#[allow(
    unsafe_code,
    reason = "its whole purpose is to call a library that is written in C"
)]
mod ffi;
mod log;
mod passwords;
mod session;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use error::SaslError;
pub use passwords::check_passwords;
pub use session::{MAX_DATA, Options, Session, Step};

/// libsasl2, loaded and initialised.
#[derive(Debug)]
pub struct Sasl {
    library: ffi::Library,
    app_name: String,
    config_folder: Option<PathBuf>,
}

/// Nothing that panics is done while it is held.
static LOADED: Mutex<Option<Arc<Sasl>>> = Mutex::new(None);

impl Sasl {
    /// Loads and initialises the library for the application `app_name`, which names its file of
    /// configuration. That file is in the system's folders unless `config_folder` names another.
    /// It is read here, for as long as the process runs: the library knows of no second time, and a
    /// later call with the same arguments gives what the first one made.
    ///
    /// # Errors
    /// When the library is not installed or its configuration cannot be read; when it was loaded
    /// with other arguments before.
    pub fn load(app_name: &str, config_folder: Option<&Path>) -> Result<Arc<Sasl>, SaslError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sasl) = &*loaded {
            let same = sasl.app_name == app_name && sasl.config_folder.as_deref() == config_folder;
            return match same {
                true => Ok(Arc::clone(sasl)),
                false => Err(SaslError::LoadedBefore {
                    app_name: sasl.app_name.clone(),
                }),
            };
        }
        let name = c_string(app_name.as_bytes(), "name of the application")?;
        let folder = config_folder
            .map(|folder| c_string(folder.as_os_str().as_bytes(), "folder of configuration"))
            .transpose()?;
        let sasl = Arc::new(Sasl {
            library: ffi::Library::load(&name, folder.as_deref())?,
            app_name: app_name.to_owned(),
            config_folder: config_folder.map(Path::to_owned),
        });
        *loaded = Some(Arc::clone(&sasl));
        Ok(sasl)
    }
}

fn c_string(bytes: &[u8], what: &'static str) -> Result<CString, SaslError> {
    CString::new(bytes).map_err(|_| SaslError::Zero { what })
}
