//! The process that the user started, and that stands for the program: it passes signals on, stops when
//! the program has stopped, and ends as the program has ended.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::SuperviseError;
use super::ffi;
use super::link::{End, Link, Report};

/// What these say is about this process itself.
const OWN: [Signal; 8] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGCHLD,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// What a terminal sends goes to all of its processes, the program among them.
const FROM_TERMINALS: [Signal; 8] = [
    Signal::SIGCONT,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGWINCH,
];

/// The signals that are to be passed on. They have to be taken before there is a program, or this process
/// would end of one that comes soon after.
pub(super) struct Signals {
    taken: SignalFd,
    /// What was blocked before, as it is to be for the program.
    pub(super) blocked_before: SigSet,
}

impl Signals {
    pub(super) fn take() -> nix::Result<Self> {
        let mut set = SigSet::all();
        for signal in OWN {
            set.remove(signal);
        }
        Ok(Self {
            blocked_before: set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?,
            taken: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
        })
    }
}

/// Waits until the program has ended. The exit status, if it has one.
pub(super) fn stand_for_program(
    supervisor: &Link,
    process: Pid,
    Signals { taken: signals, .. }: &Signals,
    shows_banner: bool,
) -> Result<u8, SuperviseError> {
    let_go(&[supervisor.as_fd(), signals.as_fd()], shows_banner, true);
    loop {
        let mut ready = [
            PollFd::new(supervisor, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        // It can't fail in other ways: there is memory, and the descriptors are ours.
        if retry_on_intr(|| poll(&mut ready, None)).is_err() {
            return Err(SuperviseError::Lost);
        }
        let [reported, signalled] = ready.map(|entry| !entry.revents().is_empty());
        if signalled {
            pass_on(signals, supervisor);
        }
        if reported {
            match supervisor.next_report() {
                Some(Report::Connecting) if shows_banner => {
                    pmsocks_common::print(concat!(
                        "pmsocks (gatehouse) ",
                        env!("CARGO_PKG_VERSION"),
                        "\n"
                    ));
                }
                Some(Report::Connecting) => {}
                Some(Report::Stopped) => ffi::send(Pid::this(), Signal::SIGSTOP as i32),
                Some(Report::Ended { end, others_left }) => {
                    if !others_left {
                        // It can't fail but for being gone already.
                        let _ = nix::sys::wait::waitpid(process, None);
                    }
                    return Ok(match end {
                        End::Exited(status) => status,
                        End::Killed(signal) => die_by(signal),
                    });
                }
                None => return Err(SuperviseError::Lost),
            }
        }
    }
}

/// Passes on what was sent to this process: by others, or by the kernel because of a timer that was set
/// before this process executed pmsocks. The kernel's own codes are above 0 (sigaction(2)).
fn pass_on(signals: &SignalFd, supervisor: &Link) {
    while let Ok(Some(signal)) = signals.read_signal() {
        let is = |terminals: &Signal| signal.ssi_signo == (*terminals as i32).cast_unsigned();
        if (signal.ssi_code <= 0 || !FROM_TERMINALS.iter().any(is))
            && let Ok(number) = u8::try_from(signal.ssi_signo)
        {
            supervisor.send_signal(number);
        }
    }
}

/// Gives back what was inherited for the program's sake: who waits for the end of a pipe waits for the
/// program's descriptors, not for these.
pub(super) fn let_go(kept: &[BorrowedFd<'_>], keeps_stdout: bool, keeps_stderr: bool) {
    ffi::close_all_but(kept);
    let flags = rustix::fs::OFlags::RDWR;
    if let Ok(nothing) = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&nothing);
        if !keeps_stdout {
            let _ = rustix::stdio::dup2_stdout(&nothing);
        }
        if !keeps_stderr {
            let _ = rustix::stdio::dup2_stderr(&nothing);
        }
    }
    let _ = std::env::set_current_dir("/");
}

/// Ends by the signal that ended the program; that one has left a core dump already, if any. The status
/// that a shell would show if the signal does not end this process.
fn die_by(signal: u8) -> u8 {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let number = i32::from(signal);
    ffi::set_default(number);
    ffi::send(Pid::this(), number);
    // Until here it was blocked.
    let _ = SigSet::all().thread_unblock();
    signal.saturating_add(128)
}
