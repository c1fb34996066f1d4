//! `cargo xtask dist`: the Debian package of pmproxy, and the proof that it installs, serves and goes
//! without a trace.

mod check;
mod deb;
mod root;
mod stage;

use anyhow::{Result, bail};
use lexopt::Arg;
use testbed::packages::NeededFor;

use crate::packages::{am_root, ensure};

const USAGE: &str = "\
Usage: cargo xtask dist [--check | --check-beside-pcp | --check-under-systemd] [--no-install]

Builds the release program and the Debian package gatehouse-pmproxy, in target/dist.

  --check             then install it in a fresh Debian 12 that debootstrap makes, read metrics
                      through it with a real client, stop, remove and purge it; needs root and
                      a package mirror, and takes a minute
  --check-beside-pcp  the same where the package pcp is installed, whose files must be back
                      in the end
  --check-under-systemd
                      the same where systemd starts the service, also for the first client
  --no-install        do not install Debian packages that are missing for this

The fresh Debian has processes, mounts and a network of its own, and is removed in the end.";

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut check, mut install) = (None, true);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Arg::Long("check") => check = Some(check::Place::Bare),
            Arg::Long("check-beside-pcp") => check = Some(check::Place::BesidePcp),
            Arg::Long("check-under-systemd") => check = Some(check::Place::UnderSystemd),
            Arg::Long("no-install") => install = false,
            other => return Err(other.unexpected().into()),
        }
    }
    if check.is_some() && !am_root() {
        bail!("only root can make a fresh Debian to check the package in");
    }
    ensure(NeededFor::Package, install)?;
    let package = deb::build()?;
    println!("{}", package.path.display());
    match check {
        None => Ok(()),
        Some(place) => {
            ensure(NeededFor::Tests, install)?;
            check::run(&package, place)
        }
    }
}
