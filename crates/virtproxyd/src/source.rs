//! Where the settings come from, and what is made of them before anything is opened for clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::access::UriAccess;
use crate::auth::{AuthSettings, Elsewhere};
use crate::config::Config;
use crate::drivers::Drivers;
use crate::paths::{Mode, Paths};
use crate::session::Live;

/// Where the settings come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) paths: Paths,
    /// `-f`
    pub(crate) file: Option<PathBuf>,
}

impl Source {
    /// Reads the configuration and all that it names; nothing is opened for clients yet.
    pub(crate) fn read(&self) -> Result<Config> {
        let mode = self.paths.mode();
        let config = match &self.file {
            Some(file) => Config::read(file, mode)?,
            None => Config::read_default(&self.paths.config, mode)?,
        };
        Ok(config)
    }

    fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.paths.config)
    }

    /// What clients find who come from now on.
    pub(crate) fn live(&self, config: Config) -> Result<Live> {
        let access = UriAccess::parse(&config.uri_access)
            .map_err(|error| anyhow::anyhow!("{}:{error}", self.file().display()))?;
        let auth = AuthSettings::new(&config.auth, &config.listening, Elsewhere::default());
        let auth = auth.with_context(|| self.file().display().to_string())?;
        let folder = config.daemons.folder.clone();
        let drivers = Drivers {
            folder: folder.unwrap_or_else(|| self.paths.run.clone()),
            elsewhere: config.daemons.sockets.clone(),
            for_user: self.paths.mode() == Mode::Session,
        };
        Ok(Live {
            auth: Arc::new(auth),
            drivers,
            access,
            config,
        })
    }
}
