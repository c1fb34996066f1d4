//! Installs packages in a fresh Debian, uses them with real clients, and looks for what is left.

pub(super) mod pmproxy;
pub(super) mod pmsocks;
mod state;
pub(super) mod virtproxyd;

use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};

use super::deb::Package;
use super::root::Root;
use crate::tree::{must, target};

/// What kind of Debian a package is installed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The smallest, where nothing starts services unless it is told to.
    Bare,
    /// One with Debian's own package of what ours stands in for.
    Beside,
    /// One that systemd has started.
    UnderSystemd,
}

fn tell(step: &str) {
    println!("==> {step}");
}

/// Makes a Debian with a network of its own and with these packages, beside those that ours depends
/// on: what comes with ours is not its own.
fn fresh_debian(package: &Package, peers: &[&str]) -> Result<Root> {
    tell(&format!("making a fresh Debian 12 for {}", package.name));
    let names = package.depends.split(',').filter_map(|depends| {
        let name = depends.split_whitespace().next();
        name.map(str::to_owned)
    });
    let names: Vec<String> = names
        .chain(peers.iter().map(|&name| name.to_owned()))
        .collect();
    let folder = target()?.join("dist/root");
    let root = Root::make(folder, &names)?;
    unshare(CloneFlags::CLONE_NEWNET).context("cannot have a network of its own")?;
    must(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    Ok(root)
}

/// Installs the package, and gives what that said.
fn install(root: &Root, package: &Package) -> Result<String> {
    root.put(&package.path, "package.deb")?;
    let said = root.run("dpkg --install /package.deb 2>&1 && rm /package.deb")?;
    let changed = root.run(&format!("dpkg --verify {} || :", package.name))?;
    // What administrators have changed in a conffile is kept.
    let changed: Vec<&str> = changed
        .lines()
        .filter(|line| !line.contains(" c /"))
        .collect();
    ensure!(
        changed.is_empty(),
        "not all is as it was packed: {changed:#?}"
    );
    Ok(said)
}

/// Expects that no process of the program is left.
fn is_gone(root: &Root, program: &str) -> Result<()> {
    let left = root.run(&format!("grep -l {program} /proc/[0-9]*/comm || :"))?;
    ensure!(left.is_empty(), "processes are left: {left}");
    Ok(())
}
