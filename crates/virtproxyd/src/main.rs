//! `virtproxyd`: libvirt clients reach the modular libvirt daemons through it. A drop-in for
//! `virtproxyd(8)`.

#![forbid(unsafe_code)]

mod access;
mod admin;
mod auth;
mod autostart;
mod certificates;
mod clients;
mod config;
mod conversation;
mod daemon;
mod doors;
mod drivers;
mod fatal;
mod frames;
mod heartbeat;
mod inspector;
mod logging;
mod options;
mod orders;
#[cfg(test)]
mod papers;
mod paths;
mod session;
mod shared_text;
mod source;
mod upstream;
mod who;

use std::io::{self, Write};
use std::process::ExitCode;

use fatal::{Fatal, OrExit, Status};
use logging::{Logging, Surroundings};
use options::{Options, USAGE, VERSION};
use paths::Paths;
use source::Source;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = write!(io::stderr(), "virtproxyd: {error}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let text = if options.help {
        USAGE.to_owned()
    } else if options.version {
        format!("{VERSION}\n")
    } else {
        return match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Fatal { status, error }) => {
                // Nobody is left to tell if this fails.
                let _ = writeln!(io::stderr(), "virtproxyd: {error:#}");
                status.into()
            }
        };
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs the daemon. Until its log is open, and where that goes elsewhere, errors are for standard
/// error.
fn run(options: &Options) -> Result<(), Fatal> {
    let source = Source {
        paths: Paths::of_process().or_exit(Status::Start)?,
        file: options.config.clone(),
    };
    let config = source.read().or_exit(Status::Config)?;
    let surroundings = Surroundings::of_process(options.verbose, options.daemon, &source.paths);
    let logging = Logging::open(&config.logging, surroundings).or_exit(Status::Config)?;
    logging.install();
    daemon::run(options, &source, config, &logging).inspect_err(|fatal| {
        if !logging.uses_stderr() {
            tracing::error!("{:#}", fatal.error);
        }
    })
}
