//! pmproxy: metrics of a pmcd are read through it.

use std::time::Instant;

use anyhow::{Result, ensure};
use testbed::{Client, PATIENCE, Pmcd, eventually};

use super::state::{Scope, State};
use super::{Place, fresh_debian, install, is_gone, tell};
use crate::dist::deb::Package;
use crate::dist::root::Root;

const PROGRAM: &str = "pmproxy";
const LOG: &str = "/var/log/pcp/pmproxy/pmproxy.log";

/// Installs, uses, removes and purges the package.
pub(crate) fn run(package: &Package, place: Place) -> Result<()> {
    let start = Instant::now();
    let mut root = fresh_debian(package, peers(place))?;
    match place {
        Place::UnderSystemd => root.boot()?,
        Place::Bare | Place::Beside => root.come_alive()?,
    }
    let before = State::of(&root, scope(place))?;
    let pmcd = Pmcd::start("behind-the-gate")?;

    if place == Place::UnderSystemd {
        tell("installing the package: its service starts");
        install(&root, package)?;
        reads(&pmcd)?;
    } else {
        tell("installing the package where nothing starts services");
        install(&root, package)?;
        is_gone(&root, PROGRAM)?;
        root.let_services_start(true)?;
    }
    serve(&root, &pmcd)?;
    if place == Place::UnderSystemd {
        start_with_the_first_client(&root, &pmcd)?;
    }

    tell("removing it: it is stopped");
    root.run(&format!("dpkg --remove {}", package.name))?;
    is_restored(&root, &pmcd, place)?;

    tell("installing it again: it starts, with the configuration that was kept");
    install(&root, package)?;
    reads(&pmcd)?;

    tell("purging it: nothing is left");
    root.run(&format!("dpkg --purge {}", package.name))?;
    is_restored(&root, &pmcd, place)?;
    if place != Place::UnderSystemd {
        root.let_services_start(false)?;
    }
    State::of(&root, scope(place))?.must_be(&before)?;
    tell(&format!(
        "all is well after {:.0} s",
        start.elapsed().as_secs_f32()
    ));
    Ok(())
}

/// What is there before.
fn peers(place: Place) -> &'static [&'static str] {
    match place {
        Place::Bare => &[],
        Place::Beside => &["pcp"],
        Place::UnderSystemd => &["systemd-sysv"],
    }
}

fn scope(place: Place) -> Scope {
    Scope {
        ours: &["gatehouse", "pmproxy", "pcp"],
        left_by_others: match place {
            // What pcp's own pmproxy and its init script leave behind.
            Place::Beside => &["run/pcp", "var/log/pcp/"],
            Place::Bare | Place::UnderSystemd => &[],
        },
    }
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
    is_gone(root, PROGRAM)?;
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
    if place == Place::Beside {
        eventually(PATIENCE, "pcp's own pmproxy", || reads(pmcd).is_ok())?;
        let log = root.read(LOG)?;
        // Only that one has a port for its REST API.
        ensure!(
            log.contains(" 44323 "),
            "pcp's own pmproxy was not started: {log}"
        );
        root.run("/etc/init.d/pmproxy stop")?;
    }
    is_gone(root, PROGRAM)
}
