//! A firewall in small: three hosts of one test on this machine, each in a network of its own, and
//! SOCKS servers on the one in the middle.

mod danted;
mod host;
mod microsocks;
mod name_server;
mod socks_stub;

pub use danted::{Danted, DantedBuilder};
pub use host::{Host, Who};
pub use microsocks::Microsocks;
pub use name_server::NameServer;
pub use socks_stub::{Conduct, Held, Pieces, SocksAsked, SocksStub};

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::eventually::{PATIENCE, eventually_some};
use crate::packages;
use crate::process::Process;

/// A host with clients, a firewall, and a host that the clients cannot reach: the firewall forwards
/// nothing, and only what runs on it reaches both sides. All ends with the test.
///
/// The host outside has names that only the firewall knows: [`Firewall::OUTSIDE_NAME`] and
/// [`Firewall::OUTSIDE_NAME6`]. The firewall itself is `firewall` on both. Inside, a name that is not
/// in `/etc/hosts` is unknown at once.
#[derive(Debug)]
pub struct Firewall {
    inside: Host,
    gate: Host,
    outside: Host,
}

impl Firewall {
    /// The firewall's address, as it is seen from inside.
    pub const GATE: &str = "10.1.0.1";
    /// Its IPv6 address, as it is seen from inside.
    pub const GATE6: &str = "fd01::1";
    /// The address of the host inside.
    pub const INSIDE: &str = "10.1.0.2";
    /// The address of the host outside.
    pub const OUTSIDE: &str = "10.2.0.2";
    /// Its IPv6 address.
    pub const OUTSIDE6: &str = "fd02::2";
    /// An address to which the firewall's routes say that it cannot be reached.
    pub const UNREACHABLE: &str = "10.4.0.1";
    /// An address to which the firewall has no route.
    pub const NO_NETWORK: &str = "10.5.0.1";
    /// The name that the firewall has for [`Firewall::OUTSIDE`].
    pub const OUTSIDE_NAME: &str = "outside.example";
    /// The name that the firewall has for [`Firewall::OUTSIDE6`].
    pub const OUTSIDE_NAME6: &str = "outside6.example";

    /// Makes the hosts and connects them. Only root can.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Firewall> {
        packages::require("iproute2")?;
        let (inside, gate, outside) = std::thread::scope(|scope| {
            let inside = scope.spawn(|| Host::start("inside"));
            let gate = scope.spawn(|| Host::start("firewall"));
            let outside = Host::start("outside");
            (inside.join(), gate.join(), outside)
        });
        let lost = |_| anyhow::anyhow!("a thread that made a host panicked");
        let wall = Firewall {
            inside: inside.map_err(lost)??,
            gate: gate.map_err(lost)??,
            outside: outside?,
        };
        wall.plug_in().context("cannot connect the hosts")?;
        wall.name_hosts()?;
        Ok(wall)
    }

    /// The host on which clients run.
    pub fn inside(&self) -> &Host {
        &self.inside
    }

    /// The firewall.
    pub fn gate(&self) -> &Host {
        &self.gate
    }

    /// The host that is to be reached.
    pub fn outside(&self) -> &Host {
        &self.outside
    }

    fn plug_in(&self) -> Result<()> {
        let (inside, outside) = (self.inside.pid(), self.outside.pid());
        self.gate.ip(&format!(
            "link add in0 type veth peer name eth0 netns {inside}
             link add out0 type veth peer name eth0 netns {outside}
             address add 10.1.0.1/24 dev in0
             address add fd01::1/64 dev in0 nodad
             address add 10.2.0.1/24 dev out0
             address add fd02::1/64 dev out0 nodad
             link set in0 up
             link set out0 up
             route add unreachable 10.4.0.0/24"
        ))?;
        self.inside.ip("address add 10.1.0.2/24 dev eth0
             address add fd01::2/64 dev eth0 nodad
             link set eth0 up")?;
        self.outside.ip("address add 10.2.0.2/24 dev eth0
             address add fd02::2/64 dev eth0 nodad
             link set eth0 up")
    }

    fn name_hosts(&self) -> Result<()> {
        let local = "127.0.0.1 localhost\n::1 localhost\n";
        self.inside.write(
            "/etc/hosts",
            format!("{local}10.1.0.2 inside\n10.1.0.1 firewall\nfd01::1 firewall6\n"),
        )?;
        self.gate.write(
            "/etc/hosts",
            format!(
                "{local}10.1.0.1 firewall\n10.2.0.2 outside.example\nfd02::2 outside6.example\n"
            ),
        )?;
        self.outside
            .write("/etc/hosts", format!("{local}10.2.0.2 outside\n"))
    }
}

/// Waits until a SOCKS server of the firewall takes connections.
fn answers(wall: &Firewall, address: SocketAddr, server: &mut Process) -> Result<()> {
    let what = format!("{} to answer on {address}", server.name());
    let there = eventually_some(PATIENCE, what, || {
        if let Ok(Some(status)) = server.ended() {
            return Some(Err(anyhow::anyhow!("it has ended: {status}")));
        }
        wall.inside().reaches(address).then_some(Ok(()))
    });
    there?
}

#[cfg(test)]
mod tests;
