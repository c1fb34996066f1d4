//! `pmproxy`: clients of Performance Co-Pilot reach any pmcd through it. A drop-in for `pmproxy(1)`.

#![forbid(unsafe_code)]

mod certificates;
mod config;
mod counters;
mod daemon;
mod fatal;
mod inspector;
mod options;
mod request_ports;
mod session;
mod settings;

use std::path::Path;
use std::process::ExitCode;

use gate::lifecycle::date;
use options::{Options, USAGE};
use pcp_env::Environment;
use settings::Settings;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("pmproxy: {error}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if options.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let messages = options.fatal_messages.clone();
    match run(options, messages.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(()) => ExitCode::FAILURE,
    }
}

/// Runs the daemon. An error has been told to whom it concerns by the time this returns.
fn run(options: Options, messages: Option<&Path>) -> Result<(), ()> {
    let environment = Environment::load().map_err(anyhow::Error::from);
    let settings = environment.and_then(|environment| Settings::gather(options, &environment));
    let settings = settings.map_err(|error| {
        fatal::tell(messages, &format!("pmproxy: {error:#}"));
    })?;
    let log = daemon::open_log(&settings);
    let result = daemon::run(&settings, &log);
    if let Err(error) = &result {
        tracing::error!("pmproxy: {error:#}");
        if let Some(path) = log.path() {
            let path = path.display();
            let text = format!("pmproxy: {error:#}\npmproxy not started due to errors, see {path}");
            fatal::tell(messages, &text);
        }
    }
    log.write_plain(&format!("\nLog finished {}\n", date()));
    result.map_err(|_| ())
}
