//! The log, as libvirt's daemons keep it: several outputs at once, each with its own priority, and
//! filters that set another priority for some categories. All of it can be exchanged while the daemon
//! runs.
//!
//! The category of a message is its tracing target with dots: `virtproxyd::session` becomes
//! `virtproxyd.session`, which the filter `1:session` matches, as would `1:virtproxyd`.

mod distributor;
mod environment;
mod filter;
mod line;
mod output;
mod priority;
mod sink;
#[cfg(test)]
mod tests;

use std::fs::DirBuilder;
use std::io::{IsTerminal, stdin};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Access, access};
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::config;
use crate::paths::Paths;

use distributor::{Distributor, Shared};
use sink::Destinations;

pub(crate) use environment::Environment;
pub(crate) use filter::{FilterError, Filters};
pub(crate) use output::{OutputError, Outputs};
pub(crate) use priority::Priority;

/// Why the log cannot be as it is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggingError {
    #[error("{0}{1}")]
    Filters(&'static str, FilterError),
    #[error("{0}{1}")]
    Outputs(&'static str, OutputError),
    #[error("LIBVIRT_DEBUG={0:?}: expected 1 (debug), 2 (info), 3 (warning) or 4 (error)")]
    Level(String),
}

/// What of the log is not in the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// `-v`
    pub(crate) verbose: bool,
    /// `-d`
    pub(crate) daemon: bool,
    /// Whether standard input is a terminal.
    pub(crate) terminal: bool,
    /// The log file of a daemon where there is no journal.
    pub(crate) file: PathBuf,
    pub(crate) environment: Environment,
    destinations: Destinations,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process(verbose: bool, daemon: bool, paths: &Paths) -> Surroundings {
        Surroundings {
            verbose,
            daemon,
            terminal: stdin().is_terminal(),
            file: paths.log.clone(),
            environment: Environment::of_process(),
            destinations: Destinations::default(),
        }
    }

    /// The output where none is set, as libvirt chooses it.
    fn default_output(&self, level: Priority) -> String {
        let has_journal = access(&self.destinations.journal, Access::WRITE_OK).is_ok();
        if has_journal && (self.daemon || !self.terminal) {
            // The journal would begin to drop messages.
            format!("{}:journald", level.max(Priority::Info))
        } else if self.daemon {
            format!("{level}:file:{}", self.file.display())
        } else {
            format!("{level}:stderr")
        }
    }
}

/// The log of the process. What is exchanged is exchanged for all clones.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    shared: Arc<Shared>,
    surroundings: Arc<Surroundings>,
    /// What the configuration said last.
    configured: Arc<Mutex<config::Logging>>,
}

/// A log that is ready for [`Logging::adopt`].
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `None` where nothing is new.
    plan: Option<Plan>,
    config: config::Logging,
}

/// What holds now, out of the configuration and what overrides it.
#[derive(Debug)]
struct Plan {
    level: Priority,
    filters: Filters,
    outputs: Outputs,
}

impl Plan {
    /// The command line wins over the environment, and that over the configuration.
    fn make(config: &config::Logging, around: &Surroundings) -> Result<Plan, LoggingError> {
        let environment = &around.environment;
        let mut level = match &environment.debug {
            Some(word) => {
                Priority::from_word(word).ok_or_else(|| LoggingError::Level(word.clone()))?
            }
            None => config
                .level
                .and_then(Priority::from_number)
                .unwrap_or(Priority::Warning),
        };
        if around.verbose {
            level = level.min(Priority::Info);
        }
        let (name, filters) = match &environment.filters {
            Some(filters) => ("LIBVIRT_LOG_FILTERS: ", filters.as_str()),
            None => (
                "log_filters: ",
                config.filters.as_deref().unwrap_or_default(),
            ),
        };
        let filters =
            Filters::parse(filters).map_err(|error| LoggingError::Filters(name, error))?;
        let (name, outputs) = match (&environment.outputs, &config.outputs) {
            (Some(outputs), _) => ("LIBVIRT_LOG_OUTPUTS: ", outputs.clone()),
            (None, Some(outputs)) => ("log_outputs: ", outputs.clone()),
            (None, None) => {
                make_folder(around);
                ("", around.default_output(level))
            }
        };
        let outputs = Outputs::open(&outputs, &around.destinations)
            .map_err(|error| LoggingError::Outputs(name, error))?;
        Ok(Plan {
            level,
            filters,
            outputs,
        })
    }
}

/// The folder of the default log file need not be there yet. Without the right to make it, opening
/// the file fails, and says so.
fn make_folder(around: &Surroundings) {
    if let Some(folder) = around.file.parent().filter(|_| around.daemon) {
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
}

impl Logging {
    /// Opens the log, to which nothing goes before [`Logging::install`].
    pub(crate) fn open(
        config: &config::Logging,
        surroundings: Surroundings,
    ) -> Result<Logging, LoggingError> {
        let plan = Plan::make(config, &surroundings)?;
        Ok(Logging {
            shared: Arc::new(Shared::new(plan.level, plan.filters, plan.outputs)),
            surroundings: Arc::new(surroundings),
            configured: Arc::new(Mutex::new(config.clone())),
        })
    }

    /// Sends the messages of the whole process here, panics included.
    pub(crate) fn install(&self) {
        // A second call in one process would change nothing, which is what is wanted.
        let _ = tracing::subscriber::set_global_default(self.subscriber());
        std::panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let distributor = Distributor::new(Arc::clone(&self.shared));
        tracing_subscriber::registry().with(distributor)
    }

    /// Opens what a configuration that was read again wants. Nothing is in force before
    /// [`Logging::adopt`].
    ///
    /// # Errors
    /// As for [`Logging::open`].
    pub(crate) fn prepare(&self, config: &config::Logging) -> Result<Prepared, LoggingError> {
        let configured = self.configured();
        let plan = if *configured == *config {
            None
        } else {
            Some(Plan::make(config, &self.surroundings)?)
        };
        Ok(Prepared {
            plan,
            config: config.clone(),
        })
    }

    /// Puts in force what was prepared. Where the configuration says nothing new about the log, what
    /// was exchanged since stays.
    pub(crate) fn adopt(&self, prepared: Prepared) {
        if let Some(plan) = prepared.plan {
            self.shared.set_level(plan.level);
            self.shared.set_filters(plan.filters);
            self.shared.set_outputs(plan.outputs);
            *self.configured() = prepared.config;
        }
    }

    fn configured(&self) -> MutexGuard<'_, config::Logging> {
        self.configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens log files anew, after they were moved away. What cannot be opened stays as it is.
    ///
    /// # Errors
    /// What could not be opened, in words for the log.
    pub(crate) fn reopen(&self) -> Result<(), String> {
        self.shared.reopen()
    }

    /// The priority that a message needs where no filter says another.
    pub(crate) fn level(&self) -> Priority {
        self.shared.level()
    }

    /// The outputs in force, as in `log_outputs`.
    pub(crate) fn outputs(&self) -> String {
        self.shared.outputs()
    }

    /// Exchanges all outputs. An empty text stands for the default one.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub(crate) fn set_outputs(&self, outputs: &str) -> Result<(), OutputError> {
        let outputs = if outputs.trim().is_empty() {
            make_folder(&self.surroundings);
            self.surroundings.default_output(self.level())
        } else {
            outputs.into()
        };
        let opened = Outputs::open(&outputs, &self.surroundings.destinations)?;
        self.shared.set_outputs(opened);
        Ok(())
    }

    /// The filters in force, as in `log_filters`.
    pub(crate) fn filters(&self) -> String {
        self.shared.filters()
    }

    /// Exchanges all filters. An empty text stands for none.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub(crate) fn set_filters(&self, filters: &str) -> Result<(), FilterError> {
        self.shared.set_filters(Filters::parse(filters)?);
        Ok(())
    }

    /// Whether anything goes to standard error, which must stay open then.
    pub(crate) fn uses_stderr(&self) -> bool {
        self.shared.uses_stderr()
    }
}
