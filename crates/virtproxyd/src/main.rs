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

use anyhow::Result;
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
    let done = if options.help {
        io::stdout().write_all(USAGE.as_bytes()).map_err(Into::into)
    } else if options.version {
        writeln!(io::stdout(), "{VERSION}").map_err(Into::into)
    } else {
        run(&options)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "virtproxyd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the daemon. Until its log is open, and where that goes elsewhere, errors are for standard
/// error.
fn run(options: &Options) -> Result<()> {
    let source = Source {
        paths: Paths::of_process()?,
        file: options.config.clone(),
    };
    let config = source.read()?;
    let surroundings = Surroundings::of_process(options.verbose, options.daemon, &source.paths);
    let logging = Logging::open(&config.logging, surroundings)?;
    logging.install();
    daemon::run(options, &source, config, &logging).inspect_err(|error| {
        if !logging.uses_stderr() {
            tracing::error!("{error:#}");
        }
    })
}
