//! The way in for programs that no library can be loaded into, or that make system calls by themselves:
//! a supervisor whom the kernel asks about each connect(2) (seccomp's user notification).
//!
//! Three processes take part. The one that the user started (`front`) stands for the program: signals
//! go through it, and it ends as the program ends. The `supervisor` is its child and the program's
//! parent, and stays when the program has left children behind. The program's own process (`child`)
//! puts the filter before its calls and executes the program. The supervisor is an ancestor of all that
//! it supervises, and orphans come to it, because Linux may let ancestors only look into a process
//! (Yama).

mod address;
mod child;
mod commands;
mod connections;
mod ffi;
mod filter;
mod front;
mod libpcp;
mod link;
mod memory;
mod places;
mod relay;
mod stand_in;
mod supervisor;
mod tracee;

use std::io;

use pmsocks_common::Program;

use crate::configuration::Configuration;

/// Why a program can't be supervised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuperviseError {
    #[error("cannot start the supervisor: {0}")]
    Start(io::Error),
    #[error("the supervisor has ended, and the program with it")]
    Lost,
}

/// Runs the program. The exit status is the program's; a signal that ends the program ends this process.
pub(crate) fn run(program: &Program, configuration: Configuration) -> Result<u8, SuperviseError> {
    let signals = front::Signals::take().map_err(|errno| SuperviseError::Start(errno.into()))?;
    let (front, back) = link::pair().map_err(SuperviseError::Start)?;
    match ffi::fork().map_err(SuperviseError::Start)? {
        Some(supervisor) => {
            drop(back);
            let shows_banner = configuration.settings.banner;
            front::stand_for_program(&front, supervisor, &signals, shows_banner)
        }
        None => {
            drop(front);
            let blocked = signals.blocked_before;
            std::process::exit(supervisor::run(back, program, blocked, configuration).into());
        }
    }
}
