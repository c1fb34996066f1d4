//! `pmdaroot`: the agent (PMDA) of pmcd that runs as root, and the server that collectors ask for
//! what only root can do. A drop-in for `pmdaroot(1)`.

#![deny(unsafe_code)]

mod agent;
mod arguments;
mod children;
mod containers;
mod daemon;
mod files;
mod host_names;
mod inherited;
mod log;
mod mailbox;
mod options;
mod privileges;
mod processes;
mod server;
mod signals;
mod starter;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pcp_env::Environment;

use agent::Agent;
use children::Children;
use containers::Containers;
use daemon::{Daemon, End, Loop};
use options::{Options, USAGE};
use server::{Door, Listener, User};
use signals::Signals;
use starter::Starter;

fn main() -> ExitCode {
    inherited::shed();
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = write!(io::stderr(), "pmdaroot: {error}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if options.help {
        let printed = io::stdout().write_all(USAGE.as_bytes());
        return if printed.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if let Err(error) = log::open_file(&options.log) {
        // As with every agent, standard error then is the log.
        log::error!("cannot write the log to {}: {error}", options.log.display());
    }
    log::turn_on(options.debug.clone());
    let end = run(&options);
    Containers::end();
    match end {
        Ok(End::Pmcd) => {
            log::info!("pmcd has ended");
            ExitCode::SUCCESS
        }
        Ok(End::Signal) => {
            log::info!("ended by a signal");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<End> {
    if !rustix::process::geteuid().is_root() {
        return Err(io::Error::other("it must be run as root"));
    }
    let environment = Environment::load().map_err(io::Error::other)?;
    let signals = Signals::take_over()?;
    let (descriptors, max_descriptors) = privileges::make_room();
    let door = open_door(options, &environment)?;
    // From here on everybody has few rights. Only the starter, and what it starts, can get more.
    privileges::drop_capabilities()?;
    let (deliveries, postman) = mailbox::mailbox()?;
    let starter = Starter::start(postman, descriptors)?;
    privileges::forbid_new()?;
    let (probes, postman) = mailbox::mailbox()?;
    let daemon = Daemon {
        agent: Agent::new(options.domain),
        containers: Containers::new(&environment, postman),
        children: Children::new(),
        starter,
        door,
        signals,
        probes,
        deliveries,
        max_descriptors,
    };
    Loop::new(daemon)?.run()
}

fn open_door(options: &Options, environment: &Environment) -> io::Result<Door> {
    let user = User::named(&environment.user());
    let folder = environment
        .path("PCP_VAR_DIR")
        .unwrap_or_else(|| PathBuf::from("/var/lib/pcp"));
    let usual = folder.join(pcp_proto::root::SOCKET);
    let path = options.socket.as_ref().unwrap_or(&usual);
    let listener = Listener::bind(path, user, options.socket.is_none()).map_err(|error| {
        let text = format!("cannot listen on {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    Ok(Door::new(listener, user))
}
