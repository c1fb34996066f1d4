//! What makes a process a daemon: its log, its user, its pid file, its signals.

mod daemon;
mod log;
mod signals;
mod user;

pub use daemon::{PidFile, detach};
pub use log::{Log, date, install_log};
pub use signals::{Signal, Signals};
pub use user::{Account, UserError};
