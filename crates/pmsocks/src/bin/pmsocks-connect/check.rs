//! `--check`: says which line of the configuration decides on connections to a host, and tries one.

mod attempt;

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use pmsocks_common::FAILURE;
use socks_conf::{Action, Asked, Decision, Server};
use socks_dial::{Destination, Settings, is_local_address};

use crate::around::Around;
use crate::configuration::Configuration;
use crate::order::Goal;
use attempt::Way;

/// Says what it finds out on standard output. The exit status: 0 if a connection could be made.
pub(crate) fn run(goal: &Goal, configuration: Configuration) -> u8 {
    let check = Check {
        configuration,
        around: Around::new(),
    };
    if let Some(untrusted) = check.configuration.routes.commands_off() {
        let file = check.configuration.settings.routes_file.display();
        say(&format_args!(
            "{file}: shell commands are not run: {untrusted}"
        ));
    }
    let destinations = check.destinations(goal);
    for destination in &destinations {
        check.explain(goal, destination);
    }
    for destination in destinations {
        if check.attempt(goal, &destination) {
            return 0;
        }
    }
    FAILURE
}

struct Check {
    configuration: Configuration,
    around: Around,
}

impl Check {
    /// Where connections to the host end: at its addresses, or at a name that only a SOCKS server knows.
    fn destinations(&self, goal: &Goal) -> Vec<Destination> {
        let found = (goal.host.as_str(), goal.port).to_socket_addrs();
        let why = match found {
            Ok(addresses) => {
                let mut addresses: Vec<SocketAddr> = addresses.collect();
                addresses.dedup();
                if !addresses.is_empty() {
                    return addresses.into_iter().map(Destination::Address).collect();
                }
                "it has no address".to_owned()
            }
            Err(error) => error.to_string(),
        };
        say(&format_args!(
            "{}: cannot be resolved here ({why}), so that only a SOCKS server could",
            goal.host
        ));
        vec![Destination::Name {
            host: goal.host.clone(),
            port: goal.port,
        }]
    }

    fn decide(&self, goal: &Goal, destination: &Destination) -> Decision<'_> {
        let address = match destination {
            Destination::Address(address) => Some(address.ip()),
            Destination::Name { .. } => None,
        };
        let is_name = goal.host.parse::<IpAddr>().is_err();
        self.configuration.routes.decide(&Asked {
            address,
            name: is_name.then_some(goal.host.as_str()),
            port: goal.port,
            user: self.around.user(),
            is_local: &is_local_address,
        })
    }

    fn explain(&self, goal: &Goal, destination: &Destination) {
        let decision = self.decide(goal, destination);
        let file = self.configuration.settings.routes_file.display();
        let line = match decision.line {
            Some(line) => format!("line {line} of {file} decides"),
            None => format!("no line of {file} matches, which is a denial"),
        };
        let what = match &decision.action {
            Action::Deny => "deny",
            Action::Direct => "direct",
            Action::Sockd(_) => "sockd",
        };
        say(&format_args!("{destination}: {line}: {what}"));
        if let Action::Sockd(servers) = decision.action {
            self.explain_servers(servers);
        }
        if decision.command.is_some() {
            say(&format_args!("  its shell command is not run now"));
        }
    }

    fn explain_servers(&self, servers: &[Server]) {
        let settings = &self.configuration.settings;
        let default = settings.server.as_slice();
        let servers = if servers.is_empty() { default } else { servers };
        if servers.is_empty() {
            say(&format_args!(
                "  there is no server: the line has no @=, and SOCKS_SERVER is not set"
            ));
        }
        for server in servers {
            say(&format_args!("  server {}", Shown { server, settings }));
        }
    }

    /// Tries it as a program's connection would be made, and says how it ended.
    fn attempt(&self, goal: &Goal, destination: &Destination) -> bool {
        let way = match self.decide(goal, destination).action {
            Action::Deny => {
                say(&format_args!("{destination}: denied, not tried"));
                return false;
            }
            Action::Direct => Way::Direct,
            Action::Sockd(servers) => Way::Through(servers),
        };
        let outcome = attempt::connect(
            &way,
            destination,
            &self.configuration.settings,
            &self.around,
        );
        match &outcome {
            Ok(success) => say(&format_args!("{destination}: {success}")),
            Err(failure) => say(&format_args!("{destination}: failed {failure}")),
        }
        let has_more = matches!(&way, Way::Through(servers) if servers.len() > 1);
        if outcome.is_err() && has_more && !self.configuration.settings.debug {
            say(&format_args!(
                "  set SOCKS_DEBUG to see how each server has failed"
            ));
        }
        outcome.is_ok()
    }
}

/// A server with what is set for it, in words.
struct Shown<'a> {
    server: &'a Server,
    settings: &'a Settings,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { server, settings } = self;
        let port = server.port.unwrap_or(settings.port);
        write!(formatter, "{}, port {port}", server.host)?;
        match server.version.or(settings.version) {
            Some(version) => write!(formatter, ", version {version}")?,
            None => formatter.write_str(", version 5 or else 4")?,
        }
        if let Some(credentials) = &server.credentials {
            write!(formatter, ", credentials from {}", credentials.display())?;
        }
        if let Some(addresses) = settings.handed_on.addresses(&server.host) {
            let shown: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
            write!(formatter, ", at {} says SOCKS_NS", shown.join(", "))?;
        }
        Ok(())
    }
}

fn say(line: &fmt::Arguments<'_>) {
    // Who does not listen gets the exit status.
    let _ = writeln!(io::stdout(), "{line}");
}
