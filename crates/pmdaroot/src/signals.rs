//! Signals as something that epoll waits for. None is blocked or ignored, because started processes
//! would inherit that.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The signals that matter.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Something asks this process to end.
    pub(crate) end: Bell,
    /// A process that was started has ended.
    pub(crate) child: Bell,
    /// Agents do not end by it, and there is nothing to read again.
    _hangup: Bell,
}

/// Rings when one of some signals has come.
#[derive(Debug)]
pub(crate) struct Bell(UnixStream);

impl Signals {
    /// From now on signals are taken.
    pub(crate) fn take_over() -> io::Result<Signals> {
        let signals = Signals {
            end: Bell::new(&[SIGTERM, SIGINT])?,
            child: Bell::new(&[SIGCHLD])?,
            _hangup: Bell::new(&[SIGHUP])?,
        };
        // Whatever the parent had blocked.
        SigSet::empty().thread_set_mask()?;
        Ok(signals)
    }
}

impl Bell {
    fn new(signals: &[i32]) -> io::Result<Bell> {
        let (ours, ringer) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        for signal in signals {
            pipe::register(*signal, ringer.try_clone()?)?;
        }
        Ok(Bell(ours))
    }

    /// Whether it has rung; it is silent then.
    pub(crate) fn has_rung(&self) -> bool {
        let mut rung = false;
        while let Ok(1..) = (&self.0).read(&mut [0; 64]) {
            rung = true;
        }
        rung
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
