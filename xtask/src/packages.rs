//! Installs the Debian packages that a chore needs, where that is possible.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use testbed::packages::{NeededFor, Package, missing};

use crate::tree::{must, works};

/// The PATH that apt gives to dpkg unless told otherwise.
const DPKG_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Passes when all packages are there that are needed for this; installs those that are not if it
/// may.
pub(crate) fn ensure(needed_for: NeededFor, install: bool) -> Result<()> {
    let absent = missing(needed_for);
    if absent.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = absent.iter().map(|package| package.name).collect();
    let command = format!(
        "apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    if !install || !am_root() || !works(Command::new("apt-get").arg("--version")) {
        bail!(
            "missing Debian packages:\n{}\ninstall them as root: {command}",
            describe(&absent)
        );
    }
    println!("installing Debian packages:\n{}", describe(&absent));
    apt_install(&names)?;
    let still = missing(needed_for);
    if !still.is_empty() {
        bail!("after `{command}` there is still no\n{}", describe(&still));
    }
    Ok(())
}

fn describe(packages: &[&Package]) -> String {
    let lines: Vec<String> = packages
        .iter()
        .map(|package| format!("  {} ({})", package.name, package.purpose))
        .collect();
    lines.join("\n")
}

/// Whether this runs as root.
pub(crate) fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Tries what apt knows first: a fresh index is fetched only when there is none, or when the one
/// that is there names files that are gone.
fn apt_install(names: &[&str]) -> Result<()> {
    if has_index() && install(names).is_ok() {
        return Ok(());
    }
    must(apt().arg("update"))?;
    install(names)
}

fn has_index() -> bool {
    fs::read_dir("/var/lib/apt/lists").is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().contains("_Packages"))
    })
}

/// Without systemd as PID 1, `systemctl` fails, and with it the installation of pcp, whose services
/// are not wanted here anyway: one that does nothing takes its place while dpkg runs.
fn install(names: &[&str]) -> Result<()> {
    let mut install = apt();
    install.args(["install", "-y", "--no-install-recommends"]);
    let stand_in = tempfile::tempdir().context("cannot make a temporary folder")?;
    if !Path::new("/run/systemd/system").exists() {
        let systemctl = stand_in.path().join("systemctl");
        fs::write(&systemctl, "#!/bin/sh\nexit 0\n")?;
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755))?;
        let path = format!("DPkg::Path={}:{DPKG_PATH}", stand_in.path().display());
        install.args(["-o", &path]);
    }
    must(install.args(names))
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "Dpkg::Use-Pty=0"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
