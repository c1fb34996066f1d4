//! Installs the package in a fresh Debian, uses it with a real client, and looks for what is left.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use testbed::{Client, PATIENCE, Pmcd, eventually};

use super::deb::Package;
use super::root::Root;
use crate::tree::{must, target};

const NAME: &str = "gatehouse-pmproxy";
const LOG: &str = "/var/log/pcp/pmproxy/pmproxy.log";

/// What kind of Debian the package is installed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The smallest, where nothing starts services unless it is told to.
    Bare,
    /// The same with the package pcp.
    BesidePcp,
    /// One that systemd has started.
    UnderSystemd,
}

/// Files that installing any package changes, and that of removing it does not change back.
const BOOKKEEPING: [&str; 9] = [
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/",
    "var/lib/",
    "var/log/",
];

/// What of the folders of bookkeeping is looked at all the same.
const OURS: [&str; 3] = ["gatehouse", "pmproxy", "pcp"];

/// What pcp's own pmproxy and its init script leave behind.
const LEFT_BY_PCP: [&str; 2] = ["run/pcp", "var/log/pcp/"];

/// Installs, uses, removes and purges the package.
pub(super) fn run(package: &Package, place: Place) -> Result<()> {
    let start = Instant::now();
    tell("making a fresh Debian 12");
    let folder = target()?.join("dist/root");
    let mut root = Root::make(folder, &packages(package, place))?;
    unshare(CloneFlags::CLONE_NEWNET).context("cannot have a network of its own")?;
    must(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    match place {
        Place::UnderSystemd => root.boot()?,
        Place::Bare | Place::BesidePcp => root.come_alive()?,
    }
    let before = State::of(&root, place)?;
    let pmcd = Pmcd::start("behind-the-gate")?;

    if place == Place::UnderSystemd {
        tell("installing the package: its service starts");
        install(&root, package)?;
        reads(&pmcd)?;
    } else {
        tell("installing the package where nothing starts services");
        install(&root, package)?;
        is_gone(&root)?;
        root.let_services_start(true)?;
    }
    serve(&root, &pmcd)?;
    if place == Place::UnderSystemd {
        start_with_the_first_client(&root, &pmcd)?;
    }

    tell("removing it: it is stopped");
    root.run(&format!("dpkg --remove {NAME}"))?;
    is_restored(&root, &pmcd, place)?;

    tell("installing it again: it starts, with the configuration that was kept");
    install(&root, package)?;
    reads(&pmcd)?;

    tell("purging it: nothing is left");
    root.run(&format!("dpkg --purge {NAME}"))?;
    is_restored(&root, &pmcd, place)?;
    if place != Place::UnderSystemd {
        root.let_services_start(false)?;
    }
    State::of(&root, place)?.must_be(&before)?;
    tell(&format!(
        "all is well after {:.0} s",
        start.elapsed().as_secs_f32()
    ));
    Ok(())
}

fn tell(step: &str) {
    println!("==> {step}");
}

/// The names of the packages that are to be there before: what comes with ours is not its own.
fn packages(package: &Package, place: Place) -> Vec<String> {
    let names = package.depends.split(',').filter_map(|depends| {
        let name = depends.split_whitespace().next();
        name.map(str::to_owned)
    });
    let more = match place {
        Place::Bare => None,
        Place::BesidePcp => Some("pcp".to_owned()),
        Place::UnderSystemd => Some("systemd-sysv".to_owned()),
    };
    names.chain(more).collect()
}

fn install(root: &Root, package: &Package) -> Result<()> {
    root.put(&package.path, "package.deb")?;
    root.run("dpkg --install /package.deb && rm /package.deb")?;
    let changed = root.run(&format!("dpkg --verify {NAME} || :"))?;
    ensure!(changed.is_empty(), "not all is as it was packed: {changed}");
    Ok(())
}

/// Starts and stops the service by its init script.
fn serve(root: &Root, pmcd: &Pmcd) -> Result<()> {
    tell("starting, restarting, starting again, stopping and starting it");
    let pid = || root.read("/run/pcp/pmproxy.pid");
    root.run("/etc/init.d/pmproxy start")?;
    reads(pmcd)?;
    let first = pid()?;
    root.run("/etc/init.d/pmproxy restart")?;
    reads(pmcd)?;
    let second = pid()?;
    root.run("/etc/init.d/pmproxy start")?;
    reads(pmcd)?;
    ensure!(first != second && second != pid()?, "it was not restarted");
    root.run("/etc/init.d/pmproxy status && /etc/init.d/pmproxy reload")?;

    eventually(PATIENCE, "the configuration to be read again", || {
        root.read(LOG)
            .is_ok_and(|log| log.contains("SIGHUP: the configuration is read"))
    })?;
    let user = root.run("stat -c %U /proc/$(cat /run/pcp/pmproxy.pid)")?;
    ensure!(user.trim() == "pcp", "it runs as {user}");
    root.run("/etc/init.d/pmproxy stop")?;
    ensure!(reads(pmcd).is_err(), "it was stopped and still serves");
    root.run("/etc/init.d/pmproxy start")?;
    reads(pmcd)
}

/// Has systemd open the ports, and start the service for a client.
fn start_with_the_first_client(root: &Root, pmcd: &Pmcd) -> Result<()> {
    tell("starting it for the first client");
    root.run("systemctl stop pmproxy && systemctl enable --now pmproxy.socket")?;
    is_gone(root)?;
    reads(pmcd)?;
    let log = root.read(LOG)?;
    let handed_over = log.contains("the service manager handed over the request ports");
    ensure!(handed_over, "it opened its ports by itself: {log}");
    root.run("systemctl disable --now pmproxy.socket && systemctl restart pmproxy")?;
    reads(pmcd)
}

/// A real client reads a metric of the pmcd through the service.
fn reads(pmcd: &Pmcd) -> Result<()> {
    let host = format!("127.0.0.1:{}@127.0.0.1:44322", pmcd.port());
    let client = Client::new("pminfo").args(["-h", &host, "-f", "pmcd.hostname"]);
    let shown = client.run()?.succeeded()?;
    ensure!(
        shown.contains("\"behind-the-gate\""),
        "pminfo shows {shown}"
    );
    Ok(())
}

/// Expects that the package's pmproxy has ended and that pcp's serves instead, which is then stopped.
fn is_restored(root: &Root, pmcd: &Pmcd, place: Place) -> Result<()> {
    if place == Place::BesidePcp {
        eventually(PATIENCE, "pcp's own pmproxy", || reads(pmcd).is_ok())?;
        let log = root.read(LOG)?;
        // Only that one has a port for its REST API.
        ensure!(
            log.contains(" 44323 "),
            "pcp's own pmproxy was not started: {log}"
        );
        root.run("/etc/init.d/pmproxy stop")?;
    }
    is_gone(root)
}

/// Expects that no process of the package is left.
fn is_gone(root: &Root) -> Result<()> {
    let left = root.run("grep -l pmproxy /proc/[0-9]*/comm || :")?;
    ensure!(left.is_empty(), "processes are left: {left}");
    Ok(())
}

/// What the package must not change for good.
struct State {
    files: BTreeSet<String>,
    users: String,
    groups: String,
    /// Files of packages that are not as they were installed.
    changed: String,
}

impl State {
    fn of(root: &Root, place: Place) -> Result<State> {
        let mut files = root.files()?;
        files.retain(|file| !is_others(path_in(file), place));
        Ok(State {
            files,
            users: root.read("/etc/passwd")?,
            groups: root.read("/etc/group")?,
            changed: root.run("dpkg --verify || :")?,
        })
    }

    fn must_be(&self, before: &State) -> Result<()> {
        let left: Vec<_> = self.files.difference(&before.files).collect();
        let missing: Vec<_> = before.files.difference(&self.files).collect();
        ensure!(
            left.is_empty() && missing.is_empty(),
            "files are left, or changed: {left:#?}\nfiles are missing, or were: {missing:#?}"
        );
        ensure!(
            self.users == before.users,
            "users are left:\n{}",
            self.users
        );
        ensure!(
            self.groups == before.groups,
            "groups are left:\n{}",
            self.groups
        );
        ensure!(
            self.changed == before.changed,
            "files are changed:\n{}",
            self.changed
        );
        Ok(())
    }
}

/// The path in a line of [`Root::files`].
fn path_in(file: &str) -> &str {
    file.splitn(4, ' ').nth(3).unwrap_or_default()
}

/// Whether a file is not for the package to leave as it was.
fn is_others(path: &str, place: Place) -> bool {
    let starts = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    let is_ours = OURS.iter().any(|name| path.contains(name));
    starts(&BOOKKEEPING) && !is_ours || place == Place::BesidePcp && starts(&LEFT_BY_PCP)
}
