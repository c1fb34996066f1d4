//! A network of a test's own: addresses that are not loopback, without touching the machine's.

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};

use crate::client::Client;
use crate::packages;

/// Gives the calling thread, and every process that it starts from now on, a network of its own, in
/// which this machine has `addresses` beside loopback. Only root can. Nothing is left of it when the
/// last of them has ended.
///
/// # Errors
/// When the system refuses, or an address cannot be had.
pub fn own_network(addresses: &[&str]) -> Result<()> {
    packages::require("iproute2")?;
    unshare(CloneFlags::CLONE_NEWNET)
        .context("cannot make a network namespace, which only root can")?;
    let ip = |words: &[&str]| Client::new("ip").args(words).run()?.succeeded().map(drop);
    ip(&["link", "set", "lo", "up"])?;
    for address in addresses {
        ip(&["address", "add", address, "dev", "lo", "nodad"])?;
    }
    Ok(())
}
