//! Which way a connection goes: the routes of `pcp_socks.conf`, read ([`Routes::load`]) and asked
//! ([`Routes::decide`]). Nothing here connects, resolves a name or runs a command.
//!
//! ```
//! use std::net::IpAddr;
//! use socks_conf::{Action, Asked, NoLookup, Routes, User};
//!
//! let text = b"direct 10.1.0.0 255.255.0.0  # our side\nsockd 0.0.0.0 0.0.0.0\n";
//! let routes = Routes::parse(text, "pcp_socks.conf".as_ref(), &NoLookup).unwrap();
//! let decision = routes.decide(&Asked {
//!     address: Some(IpAddr::from([10, 1, 2, 3])),
//!     name: None,
//!     port: 44321,
//!     user: User { uid: 1000, name: None },
//!     is_local: &|_| false,
//! });
//! assert_eq!((decision.line, decision.action), (Some(1), Action::Direct));
//! ```
//!
//! The modules follow a line of the file: `line` splits it, and `parse` reads one field after
//! another with the help of `servers`, `users`, `destination`, `ports` and `command`.
//! `decide` walks what was read, and `load` is all that touches the file system.

#![forbid(unsafe_code)]

mod command;
mod decide;
mod destination;
mod error;
mod line;
mod load;
mod parse;
mod ports;
mod servers;
#[cfg(test)]
mod tests;
mod users;

use std::io;
use std::path::Path;

pub use command::{Command, Facts, Untrusted};
pub use decide::{Action, Asked, Decision, NameDecision};
pub use error::{Field, LoadError, Problem, RouteError};
pub use load::{MAX_SIZE, service_name};
pub use servers::{Server, ServerError};
pub use users::User;

/// The lines of a configuration, in their order: the first that matches decides.
#[derive(Clone, Debug)]
pub struct Routes {
    lines: Vec<Route>,
    /// Why no line's command may be run; `None`: they may.
    untrusted: Option<Untrusted>,
}

/// One line of the file.
#[derive(Clone, Debug)]
struct Route {
    /// Its number, from 1.
    line: usize,
    way: Way,
    /// Whom it is for; `None`: everybody.
    users: Option<users::Users>,
    destination: destination::Destination,
    ports: ports::Ports,
    command: Option<Command>,
}

/// What a line does with the connections that it matches.
#[derive(Clone, Debug)]
enum Way {
    Deny,
    Direct,
    /// Through the first of these servers that answers; none: the default server.
    Sockd(Vec<Server>),
}

/// What a configuration refers to beyond its own text.
pub trait Lookup {
    /// The text of a file of user names, named by its full path.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The TCP port of a service, as in `/etc/services`.
    fn service(&self, name: &str) -> Option<u16>;
}

/// A [`Lookup`] without any file or service.
#[derive(Clone, Copy, Debug)]
pub struct NoLookup;

impl Lookup for NoLookup {
    fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn service(&self, _: &str) -> Option<u16> {
        None
    }
}

impl Routes {
    /// Whether some line goes by the name that a program asks for, or a command wants to know it:
    /// otherwise nobody needs to keep names.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.lines.iter().any(|route| {
            let told = route.command.as_ref().is_some_and(Command::tells_name);
            route.destination.is_name() || (told && self.untrusted.is_none())
        })
    }

    /// Whether some line is for some users only: otherwise [`Asked::user`] decides nothing.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.lines.iter().any(|route| route.users.is_some())
    }

    /// The servers that the lines name, in the order of the file; one that several lines name comes
    /// with each of them.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.lines.iter().flat_map(|route| match &route.way {
            Way::Sockd(servers) => servers.as_slice(),
            Way::Deny | Way::Direct => &[],
        })
    }

    /// Why the commands of this configuration are not run, where it has any.
    #[must_use]
    pub fn commands_off(&self) -> Option<&Untrusted> {
        let untrusted = self.untrusted.as_ref()?;
        let commands = self.lines.iter().any(|route| route.command.is_some());
        commands.then_some(untrusted)
    }

    /// These routes with their commands on, whoever may have written them.
    #[must_use]
    pub fn with_commands(self) -> Routes {
        Routes {
            untrusted: None,
            ..self
        }
    }
}
