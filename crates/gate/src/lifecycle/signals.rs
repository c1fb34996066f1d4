//! The signals that a daemon listens to.

use std::io;

use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{self, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End; the name of the signal is for the log.
    Stop(&'static str),
    /// Read the configuration and open the log anew.
    Reload,
}

/// Keeps the signals that [`Signals`] receives waiting until it listens, so that none ends the
/// process before it can tidy up. For the time when there is one thread only.
///
/// # Errors
/// When the system refuses.
pub fn hold_signals() -> io::Result<()> {
    Ok(received().thread_block()?)
}

/// Ends what [`hold_signals`] began.
pub(super) fn let_signals_through() -> io::Result<()> {
    Ok(received().thread_unblock()?)
}

fn received() -> SigSet {
    [Number::SIGTERM, Number::SIGINT, Number::SIGHUP]
        .into_iter()
        .collect()
}

/// Receives signals. Must be made inside a tokio runtime.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// From now on SIGTERM, SIGINT and SIGHUP come here, those held by [`hold_signals`] first.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Signals> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        let_signals_through()?;
        Ok(signals)
    }

    /// The next signal. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
