//! Both sides of a firewall: a client's host, SOCKS servers between, and a pmcd outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use testbed::{Danted, Firewall, Microsocks, Pmcd};

/// What pmcd says it is called.
pub(super) const NAME: &str = "outside";

/// Where clients find pmcd unless they are told otherwise.
const PMCD_PORT: u16 = 44321;

/// A SOCKS server of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Server {
    /// A process that makes a thread for each client.
    Microsocks,
    /// Processes that hand a client on to one another, as it gets further.
    Danted,
}

impl Server {
    pub(super) const ALL: [Server; 2] = [Server::Microsocks, Server::Danted];

    pub(super) fn name(self) -> &'static str {
        match self {
            Server::Microsocks => "microsocks",
            Server::Danted => "danted",
        }
    }

    pub(super) fn port(self) -> u16 {
        match self {
            Server::Microsocks => 1081,
            Server::Danted => 1080,
        }
    }

    /// Where it is, as it is seen from inside.
    pub(super) fn address(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), self.port())
    }
}

/// The pmcd outside.
pub(super) fn outside() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 2, 0, 2)), PMCD_PORT)
}

/// All that runs while it is measured.
pub(super) struct Sides {
    // Dropped in this order: the servers before their hosts.
    _pmcd: Pmcd,
    _microsocks: Microsocks,
    _danted: Danted,
    pub(super) wall: Firewall,
}

impl Sides {
    pub(super) fn start() -> Result<Sides> {
        let wall = Firewall::new().context("cannot set up a firewall")?;
        let gate = Firewall::GATE;
        Ok(Sides {
            _pmcd: Pmcd::builder(NAME).on(wall.outside()).start()?,
            _microsocks: Microsocks::start(&wall, gate, Server::Microsocks.port())?,
            _danted: Danted::builder().port(Server::Danted.port()).start(&wall)?,
            wall,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_firewall() {
        assert_eq!(outside().ip().to_string(), Firewall::OUTSIDE);
        for server in Server::ALL {
            assert_eq!(server.address().ip().to_string(), Firewall::GATE);
        }
    }
}
