//! What makes a process a daemon: its log, its user, its pid file, its signals.

mod daemon;
mod folder;
mod log;
mod signals;
mod user;

pub use daemon::{PidFile, detach};
pub use folder::append_to;
pub use log::{Log, date, install_log};
pub use signals::{Signal, Signals, hold_signals};
pub use user::{Account, UserError};
