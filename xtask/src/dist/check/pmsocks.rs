//! pmsocks: a pmcd behind a firewall is reached through the SOCKS server there, by programs of the
//! fresh Debian.

use std::time::Instant;

use anyhow::{Result, ensure};
use testbed::{Danted, Finished, Firewall, PATIENCE, Pmcd, eventually};

use super::state::{Scope, State};
use super::{Place, fresh_debian, install, tell};
use crate::dist::deb::Package;
use crate::dist::root::Root;

const SCOPE: Scope = Scope {
    ours: &["gatehouse", "pmsocks", "pcp_socks"],
    left_by_others: &[],
};

/// What administrators write into the configuration, which must be kept.
const OWN_LINE: &str = "direct .inside.example.com";

/// What the library needs to be loaded without pmsocks.
const LIBRARY_ALONE: &str = "env LD_PRELOAD=/usr/lib/gatehouse/libpmsocks_preload.so";

/// Installs, uses, removes and purges the package.
pub(crate) fn run(package: &Package, place: Place) -> Result<()> {
    if place == Place::UnderSystemd {
        tell("pmsocks has no service: nothing to look at under systemd");
        return Ok(());
    }
    let start = Instant::now();
    let mut root = fresh_debian(package, peers(place))?;
    root.come_alive()?;
    let before = State::of(&root, SCOPE)?;
    let site = Site::make()?;

    tell("installing the package");
    install(&root, package)?;
    site.serves(&root, place)?;

    tell("removing it: the configuration is kept");
    root.run(&format!("echo '{OWN_LINE}' >> /etc/pcp_socks.conf"))?;
    root.run(&format!("dpkg --remove {}", package.name))?;
    is_restored(&root, place)?;

    tell("installing it again: the configuration is as it was");
    install(&root, package)?;
    let kept = root.read("/etc/pcp_socks.conf")?;
    ensure!(kept.ends_with(&format!("{OWN_LINE}\n")), "it is {kept}");
    site.serves(&root, place)?;

    tell("purging it: nothing is left");
    root.run(&format!("dpkg --purge {}", package.name))?;
    is_restored(&root, place)?;
    State::of(&root, SCOPE)?.must_be(&before)?;
    tell(&format!(
        "all is well after {:.0} s",
        start.elapsed().as_secs_f32()
    ));
    Ok(())
}

/// What is there before.
fn peers(place: Place) -> &'static [&'static str] {
    match place {
        Place::Bare | Place::UnderSystemd => &["busybox-static"],
        Place::Beside => &["busybox-static", "pcp"],
    }
}

/// Expects that the place of the program is pcp's again, or nobody's.
fn is_restored(root: &Root, place: Place) -> Result<()> {
    let there = root.try_run("cat /usr/bin/pmsocks")?;
    let pcps = there.stdout.contains("tsocks");
    ensure!(
        pcps == (place == Place::Beside) && pcps == there.status.success(),
        "/usr/bin/pmsocks is not as it was: {there}"
    );
    Ok(())
}

/// A firewall with danted, and a pmcd outside.
struct Site {
    wall: Firewall,
    danted: Danted,
    _pmcd: Pmcd,
}

/// Reads the first bytes of what the pmcd outside says to a client, by a program that is dynamically
/// linked.
const DYNAMIC: &str = "bash -c 'exec 3<>/dev/tcp/HOST/44321 && head -c 12 <&3 | od -A n -t x1'";

/// The same by one that is not. It ends when the pmcd has seen that its client has.
const STATIC: &str = "busybox nc HOST 44321 </dev/null | head -c 12 | od -A n -t x1";

/// What comes before a command for it to be root's, or that of a user without any rights.
const USERS: [&str; 2] = ["", "setpriv --reuid 65534 --regid 65534 --clear-groups"];

/// Where danted is.
const SERVER: &str = "SOCKS_SERVER=10.1.0.1";

impl Site {
    fn make() -> Result<Site> {
        let wall = Firewall::new()?;
        let pmcd = Pmcd::builder("behind-the-firewall").on(wall.outside());
        Ok(Site {
            danted: Danted::start(&wall)?,
            _pmcd: pmcd.start()?,
            wall,
        })
    }

    /// Runs a shell command in the fresh Debian, which is the host inside.
    fn try_run(&self, root: &Root, command: &str) -> Result<Finished> {
        self.wall.inside().enter(|| root.try_run(command))?
    }

    fn run(&self, root: &Root, command: &str) -> Result<String> {
        self.try_run(root, command)?.succeeded()
    }

    /// Uses pmsocks as it was installed, with the configuration that came with it.
    fn serves(&self, root: &Root, place: Place) -> Result<()> {
        tell("asking it what it is and what it would do");
        let alone = self.try_run(root, "pmsocks")?;
        ensure!(
            alone.status.code() == Some(1) && alone.stderr.contains("Usage: pmsocks"),
            "without a program, it says {alone}"
        );
        self.run(root, "pmsocks --help && pmsocks --version")?;
        let check = format!("pmsocks --check {}", Firewall::OUTSIDE);
        let lost = self.try_run(root, &check)?;
        ensure!(!lost.status.success(), "there is no server yet: {lost}");
        let shown = self.run(root, &format!("{SERVER} {check}"))?;
        ensure!(
            shown.contains("of /etc/pcp_socks.conf decides: sockd"),
            "it says {shown}"
        );
        tell("reaching the pmcd outside: by address, by danted's name for it, by a static program");
        for user in USERS {
            for launcher in ["pmsocks", LIBRARY_ALONE] {
                self.reaches(root, user, launcher, DYNAMIC, Firewall::OUTSIDE)?;
                self.reaches(root, user, launcher, DYNAMIC, Firewall::OUTSIDE_NAME)?;
            }
            self.reaches(root, user, "pmsocks", STATIC, Firewall::OUTSIDE)?;
        }
        if place == Place::Beside {
            tell("asking it by a real client");
            let client = format!("pmsocks pminfo -h {} -f pmcd.hostname", Firewall::OUTSIDE);
            let shown = self.run(root, &format!("{SERVER} {client}"))?;
            ensure!(
                shown.contains("\"behind-the-firewall\""),
                "pminfo shows {shown}"
            );
        }
        Ok(())
    }

    /// The pmcd outside answers a program of this user, and danted has seen the connection. `HOST` in
    /// the program's command is the name or the address.
    fn reaches(
        &self,
        root: &Root,
        user: &str,
        launcher: &str,
        program: &str,
        host: &str,
    ) -> Result<()> {
        let program = program.replace("HOST", host);
        let command = format!("{SERVER} {user} {launcher} {program}");
        let before = self.danted.connections();
        let shown = self.run(root, &command)?;
        ensure!(
            // The length of its first PDU, and the type of an error PDU, as which it greets.
            shown.starts_with(" 00 00 00 ") && shown.contains(" 00 00 70 00"),
            "`{command}` shows {shown:?} and not pmcd's greeting"
        );
        eventually(PATIENCE, format!("danted to log `{command}`"), || {
            self.danted.connections() > before
        })
    }
}
