//! `cargo xtask dist`: the Debian packages, and the proof that they install, serve and go without a
//! trace.

mod check;
mod contents;
mod deb;
mod root;
mod stage;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, ValueExt};
use testbed::packages::NeededFor;

use self::check::Place;
use self::contents::{Contents, PACKAGES};
use crate::packages::{am_root, ensure};

const USAGE: &str = "\
Usage: cargo xtask dist [PROGRAM] [--check | --check-beside-pcp | --check-beside-libvirtd
                        | --check-under-systemd] [--no-install]

Builds the release programs and the Debian packages gatehouse-pmproxy, gatehouse-pmsocks and
gatehouse-virtproxyd, or that of one program, in target/dist.

  --check             then install each in a fresh Debian 12 that debootstrap makes, use it with a
                      real client, stop, remove and purge it; needs root and a package mirror, and
                      takes a minute for each
  --check-beside-pcp  the same with pmproxy and pmsocks where the package pcp is installed, whose
                      files must be back in the end
  --check-beside-libvirtd
                      the same with virtproxyd where libvirtd is in use, which it must leave alone
  --check-under-systemd
                      the same where systemd starts the services, also for the first client;
                      pmsocks has none
  --no-install        do not install Debian packages that are missing for this

The fresh Debian has processes, mounts and a network of its own, and is removed in the end.";

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut packages, mut check, mut install) = (PACKAGES.to_vec(), None, true);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Arg::Long("check") => check = Some(Place::Bare),
            Arg::Long("check-under-systemd") => check = Some(Place::UnderSystemd),
            Arg::Long(option) if option.starts_with(BESIDE) => {
                let other = option.trim_start_matches(BESIDE);
                packages.retain(|contents| contents.beside == other);
                if packages.is_empty() {
                    bail!("none of the packages is checked beside {other}");
                }
                check = Some(Place::Beside);
            }
            Arg::Long("no-install") => install = false,
            Arg::Value(program) => {
                let program = program.string()?;
                packages.retain(|contents| contents.program == program);
                if packages.is_empty() {
                    bail!("no package has the program {program}, or not for this check");
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if check.is_some() && !am_root() {
        bail!("only root can make a fresh Debian to check the packages in");
    }
    ensure(NeededFor::Package, install)?;
    for contents in packages {
        make(contents, check, install).with_context(|| contents.package.to_owned())?;
    }
    Ok(())
}

const BESIDE: &str = "check-beside-";

fn make(contents: &Contents, check: Option<Place>, install: bool) -> Result<()> {
    let package = deb::build(contents)?;
    println!("{}", package.path.display());
    match check {
        None => Ok(()),
        Some(place) => {
            ensure(NeededFor::Tests, install)?;
            (contents.check)(&package, place)
        }
    }
}
