//! Which line decides. Nothing here allocates or does I/O: it runs inside of other people's
//! `connect`, also between a fork and an exec.

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;

use crate::{Command, Route, Routes, Server, User, Way};

/// A connection that a program wants.
pub struct Asked<'a> {
    /// Where to; `None`: only its name is known.
    pub address: Option<IpAddr>,
    /// The name that the program asked for.
    pub name: Option<&'a str>,
    /// The TCP port.
    pub port: u16,
    /// Who asks.
    pub user: User<'a>,
    /// Whether an address is one of this host's. It is called once at most, and only when a line
    /// with `LOCALHOSTNAME` is reached; loopback addresses need no call, nor does the unspecified
    /// address, with which the system connects to itself.
    pub is_local: &'a dyn Fn(IpAddr) -> bool,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Asked");
        shown.field("address", &self.address);
        shown.field("name", &self.name);
        shown.field("port", &self.port);
        shown.field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is to be done with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The line that decided, from 1; `None`: no line matched, which is a denial.
    pub line: Option<usize>,
    /// Which way it goes.
    pub action: Action<'a>,
    /// What is to be run for it. `None` also where commands are off, see
    /// [`Routes::commands_off`].
    pub command: Option<&'a Command>,
}

/// Which way a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Nowhere.
    Deny,
    /// Without a SOCKS server.
    Direct,
    /// Through the first of these servers that can be reached; none: the default server.
    Sockd(&'a [Server]),
}

/// What may be done with a name that the local resolver does not know. The port is not known
/// either, so this is the most that any port may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameDecision {
    /// Nobody connects there.
    Deny,
    /// Connections there go direct, so an unknown name stays unknown.
    Direct,
    /// A SOCKS server may be asked to connect there, by this name.
    Sockd,
}

/// What the lines are compared with.
pub(crate) struct Sought<'a> {
    /// IPv4 where it is IPv4 written as IPv6.
    pub(crate) address: Option<IpAddr>,
    /// Without the dot of the root.
    pub(crate) name: Option<&'a str>,
    is_local: &'a dyn Fn(IpAddr) -> bool,
    this_host: Cell<Option<bool>>,
}

impl<'a> Sought<'a> {
    fn new(
        address: Option<IpAddr>,
        name: Option<&'a str>,
        is_local: &'a dyn Fn(IpAddr) -> bool,
    ) -> Sought<'a> {
        Sought {
            address: address.map(|address| address.to_canonical()),
            name: name.map(|name| name.strip_suffix('.').unwrap_or(name)),
            is_local,
            this_host: Cell::new(None),
        }
    }

    /// The answer is kept: it may cost a system call.
    pub(crate) fn is_this_host(&self) -> bool {
        if let Some(known) = self.this_host.get() {
            return known;
        }
        let found = |address: IpAddr| {
            address.is_loopback() || address.is_unspecified() || (self.is_local)(address)
        };
        let found = self.address.is_some_and(found);
        self.this_host.set(Some(found));
        found
    }
}

impl Routes {
    /// The first line that matches decides.
    #[must_use]
    pub fn decide(&self, asked: &Asked<'_>) -> Decision<'_> {
        let sought = Sought::new(asked.address, asked.name, asked.is_local);
        let found = self
            .lines
            .iter()
            .find(|route| route.ports.contains(asked.port) && route.is_for(&sought, &asked.user));
        let Some(route) = found else {
            return Decision {
                line: None,
                action: Action::Deny,
                command: None,
            };
        };
        Decision {
            line: Some(route.line),
            action: match &route.way {
                Way::Deny => Action::Deny,
                Way::Direct => Action::Direct,
                Way::Sockd(servers) => Action::Sockd(servers),
            },
            command: route.command.as_ref().filter(|_| self.untrusted.is_none()),
        }
    }

    /// What may be done with a name whose address is not known. A line that is for some ports
    /// only does not decide alone: the lines behind it count as well.
    #[must_use]
    pub fn decide_name(&self, name: &str, user: &User<'_>) -> NameDecision {
        let sought = Sought::new(None, Some(name), &|_| false);
        let mut most = NameDecision::Deny;
        for route in self
            .lines
            .iter()
            .filter(|route| route.is_for(&sought, user))
        {
            if !route.ports.is_empty() {
                most = most.max(route.way.for_name());
            }
            if !route.ports.is_some_only() {
                break;
            }
        }
        most
    }
}

impl Route {
    fn is_for(&self, sought: &Sought<'_>, user: &User<'_>) -> bool {
        let users = self.users.as_ref();
        self.destination.matches(sought) && users.is_none_or(|users| users.contains(user))
    }
}

impl Way {
    fn for_name(&self) -> NameDecision {
        match self {
            Way::Deny => NameDecision::Deny,
            Way::Direct => NameDecision::Direct,
            Way::Sockd(_) => NameDecision::Sockd,
        }
    }
}
