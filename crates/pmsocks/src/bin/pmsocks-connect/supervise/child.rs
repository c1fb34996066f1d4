//! The program's process, until it executes the program.

use nix::sys::signal::SigSet;
use nix::unistd::{Pid, getppid};
use pmsocks_common::{Program, ProgramError};
use rustix::io::Errno;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_no_new_privs;

use super::link::Link;
use super::{ffi, filter};

/// Why it was not executed.
#[derive(Debug, thiserror::Error)]
enum ChildError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(
        "cannot supervise the program, because it is supervised already (is pmsocks run by a \
         program that pmsocks runs?)"
    )]
    Nested,
    #[error("cannot have the kernel ask about the program's connections (seccomp): {0}")]
    Filter(std::io::Error),
    #[error("cannot set the program's process up: {0}")]
    SetUp(std::io::Error),
}

/// Executes the program, supervised. It comes back, with an exit status, only if that fails.
pub(super) fn become_program(
    supervisor: &Link,
    pid: Pid,
    program: &Program,
    blocked: SigSet,
) -> u8 {
    let Err(error) = execute(supervisor, pid, program, blocked);
    pmsocks_common::complain(&format!("{error}\n"));
    match error {
        ChildError::Program(error) => error.exit_status(),
        _ => pmsocks_common::FAILURE,
    }
}

fn execute(
    supervisor: &Link,
    pid: Pid,
    program: &Program,
    blocked: SigSet,
) -> Result<std::convert::Infallible, ChildError> {
    // Without the supervisor it could not connect any more.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| ChildError::SetUp(errno.into()))?;
    if getppid() != pid {
        return Err(ChildError::SetUp(Errno::SRCH.into()));
    }
    let listener = match install() {
        Err(Errno::BUSY) => return Err(ChildError::Nested),
        other => other.map_err(|errno| ChildError::Filter(errno.into()))?,
    };
    supervisor.hand_over(&listener).map_err(ChildError::SetUp)?;
    if !supervisor.wait_for_release() {
        return Err(ChildError::SetUp(Errno::SRCH.into()));
    }
    let blocking = blocked.thread_set_mask();
    blocking.map_err(|errno| ChildError::SetUp(errno.into()))?;
    Ok(program.execute()?)
}

/// Who may do anything else may do this too, and what it executes may gain rights as ever. Everybody
/// else has to give that up first, so that no filter can mislead a program with more rights.
fn install() -> Result<std::os::fd::OwnedFd, Errno> {
    let filter = filter::program();
    match ffi::install(&filter) {
        Err(Errno::ACCESS) => {
            set_no_new_privs(true)?;
            ffi::install(&filter)
        }
        other => other,
    }
}
