//! What makes a process a daemon: its log, its user, its pid file, its signals, its manager, and the
//! sockets that this hands over.

mod activation;
mod daemon;
mod folder;
mod log;
mod manager;
mod signals;
mod user;

pub use activation::{HandoverError, take_named_sockets, take_sockets};
pub use daemon::{PidFile, Starter};
pub use folder::append_to;
pub use log::{Log, date, install_log};
pub use manager::{State, tell_manager};
pub use signals::{Signal, Signals, hold_signals};
pub use user::{Account, UserError};
