//! What ends virtproxyd before it serves anybody, and with which status: those of libvirt's daemons
//! (`virDaemonErr` in `src/util/virdaemon.h`), so that who started it can tell.

use std::process::ExitCode;

/// An exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The command line, or the file with the process id.
    Start,
    /// The folder of the sockets.
    RunFolder,
    /// What every process needs: threads and the like.
    Init,
    /// Signals.
    Signals,
    /// Sockets, certificates, and what else clients come in by.
    Network,
    /// The configuration: the file, its settings, the log that it wants.
    Config,
}

/// An error with the status that it leads to.
#[derive(Debug)]
pub(crate) struct Fatal {
    pub(crate) status: Status,
    pub(crate) error: anyhow::Error,
}

/// Says to which status an error leads.
pub(crate) trait OrExit<T> {
    fn or_exit(self, status: Status) -> Result<T, Fatal>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, status: Status) -> Result<T, Fatal> {
        self.map_err(|error| Fatal {
            status,
            error: error.into(),
        })
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(match status {
            Status::Start => 1,
            Status::RunFolder => 2,
            Status::Init => 3,
            Status::Signals => 4,
            Status::Network => 6,
            Status::Config => 7,
        })
    }
}
