//! `pmproxy`: clients of Performance Co-Pilot reach any pmcd through it. A drop-in for `pmproxy(1)`.

#![forbid(unsafe_code)]

mod boot_files;
mod certificates;
mod check;
mod config;
mod connects;
mod counters;
mod daemon;
mod fatal;
mod greeting;
mod inspector;
mod opening;
mod options;
mod pcp_metrics;
mod pdu_tally;
mod presence;
mod refusal;
mod request_ports;
mod secure_channels;
mod session;
mod settings;
mod status;
mod targets;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use boot_files::read_variables;
use gate::lifecycle::{Starter, date};
use options::{Options, USAGE};
use pcp_env::Environment;
use settings::Settings;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            let usage = if error.is_about_usage() {
                format!("\n{USAGE}")
            } else {
                String::new()
            };
            // Nobody is left to tell if this fails.
            let _ = write!(io::stderr(), "pmproxy: {error}\n{usage}");
            return ExitCode::FAILURE;
        }
    };
    let done = if options.help {
        io::stdout().write_all(USAGE.as_bytes()).is_ok()
    } else if options.question.is_asked() {
        check_config(options)
    } else if options.status {
        show_status(options)
    } else {
        let messages = options.fatal_messages.clone();
        run(options, messages.as_deref()).is_ok()
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The environment, with the variables of `--environment-file`. They win, as with the init script of
/// PCP, which exports them.
fn environment(options: &Options) -> anyhow::Result<Environment> {
    // These messages tell their causes themselves.
    let mut environment = Environment::load().map_err(anyhow::Error::msg)?;
    if let Some(path) = &options.environment_file {
        for (name, value) in read_variables(path).map_err(anyhow::Error::msg)? {
            environment.set(name, value);
        }
    }
    Ok(environment)
}

/// Checks the configuration and shows what was found; says whether all is well.
fn check_config(options: Options) -> bool {
    match environment(&options).and_then(|environment| check::run(options, &environment)) {
        Ok((text, well)) => io::stdout().write_all(text.as_bytes()).is_ok() && well,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "pmproxy: {error:#}");
            false
        }
    }
}

/// Shows the clients of a running pmproxy; says whether there is one.
fn show_status(options: Options) -> bool {
    let environment = Environment::load().map_err(anyhow::Error::msg);
    match environment.and_then(|environment| status::run(options, &environment)) {
        Ok(text) => io::stdout().write_all(text.as_bytes()).is_ok(),
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "pmproxy: {error:#}");
            false
        }
    }
}

/// Runs the daemon. An error has been told to whom it concerns by the time this returns.
fn run(options: Options, messages: Option<&Path>) -> Result<(), ()> {
    let settings =
        environment(&options).and_then(|environment| Settings::gather(options, &environment));
    let settings = settings.map_err(|error| {
        fatal::tell(messages, &format!("pmproxy: {error:#}"));
    })?;
    let log = daemon::open_log(&settings);
    // Waits until an error is told.
    let mut starter = Starter::default();
    let result = daemon::run(&settings, &log, &mut starter);
    if let Err(error) = &result {
        tracing::error!("pmproxy: {error:#}");
        let mut text = format!("pmproxy: {error:#}");
        if let Some(path) = log.path() {
            let path = path.display();
            text.push_str(&format!("\npmproxy not started due to errors, see {path}"));
        }
        // Without a log file, standard error has it already.
        if log.path().is_some() || messages.is_some() {
            fatal::tell(messages, &text);
        }
    }
    log.write_plain(&format!("\nLog finished {}\n", date()));
    result.map_err(|_| ())
}
