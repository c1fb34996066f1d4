//! virtproxyd: a domain of libvirtd's `test` driver is asked for through it.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::state::{Scope, State};
use super::{Place, fresh_debian, install, is_gone, tell};
use crate::dist::deb::Package;
use crate::dist::root::Root;

const PROGRAM: &str = "virtproxyd";

const SCOPE: Scope = Scope {
    ours: &["gatehouse", "virtproxyd"],
    // The daemon behind makes more there as it likes.
    left_by_others: &["run/behind", "run/lock", "run/utmp"],
};

/// Asks for the state of the domain that the test driver begins with, at the socket that libvirtd had.
/// It has to be named: otherwise virsh goes to that of a modular daemon, and for other users than root
/// starts a libvirtd of their own.
const ASK: &str = "virsh --connect 'test+unix:///default?socket=/run/libvirt/libvirt-sock'";
const ASK_READ_ONLY: &str =
    "virsh --readonly --connect 'test+unix:///default?socket=/run/libvirt/libvirt-sock-ro'";

/// Debian 12 has no modular daemons: a libvirtd that listens elsewhere stands in for the one of the
/// scheme `test`. It wants to know the users of a QEMU that is not there, and answers once it has made
/// all its folders.
const BEHIND: &str = "\
    set -e
    getent group kvm || groupadd --system kvm
    groupadd --system libvirt-qemu
    useradd --system --gid libvirt-qemu libvirt-qemu
    mkdir --parents /run/behind /run/libvirt
    printf '%s\\n' 'unix_sock_dir = \"/run/behind\"' 'auth_unix_rw = \"none\"' \
        'auth_unix_ro = \"none\"' 'log_outputs = \"3:file:/run/behind/log\"' \
        > /run/behind/libvirtd.conf
    libvirtd --daemon --config /run/behind/libvirtd.conf --pid-file /run/behind/libvirtd.pid
    ln --symbolic /run/behind/libvirt-sock /run/libvirt/virttestd-sock
    ln --symbolic /run/behind/libvirt-sock-ro /run/libvirt/virttestd-sock-ro
    virsh --connect 'test+unix:///default?socket=/run/behind/libvirt-sock' domstate test";

/// Installs, uses, removes and purges the package.
pub(crate) fn run(package: &Package, place: Place) -> Result<()> {
    let start = Instant::now();
    let mut root = fresh_debian(package, peers(place))?;
    match place {
        Place::Bare => {
            root.come_alive()?;
            root.run(BEHIND)?;
        }
        Place::UnderSystemd => {
            root.boot()?;
            root.run(BEHIND)?;
        }
        Place::Beside => {
            root.boot()?;
            // By then it has made its files.
            answers(&root)?;
        }
    }
    let before = State::of(&root, SCOPE)?;
    match place {
        Place::Bare => with_init_script(&root, package)?,
        Place::UnderSystemd => under_systemd(&root, package)?,
        Place::Beside => beside_libvirtd(&root, package)?,
    }
    tell("purging it: nothing is left");
    root.run(&format!("dpkg --purge {}", package.name))?;
    is_gone(&root, PROGRAM)?;
    match place {
        Place::Bare => root.let_services_start(false)?,
        Place::UnderSystemd => {}
        Place::Beside => answers(&root)?,
    }
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
        Place::Bare => &["libvirt-daemon", "libvirt-clients", "man-db"],
        Place::UnderSystemd => &[
            "systemd-sysv",
            "libvirt-daemon",
            "libvirt-clients",
            "polkitd",
        ],
        Place::Beside => &["systemd-sysv", "libvirt-daemon-system", "libvirt-clients"],
    }
}

/// Where init scripts start services, if any.
fn with_init_script(root: &Root, package: &Package) -> Result<()> {
    tell("installing the package where nothing starts services");
    install(root, package)?;
    is_gone(root, PROGRAM)?;
    root.run("virtproxyd --version && man --where virtproxyd")?;
    root.let_services_start(true)?;

    tell("starting, restarting, starting again, stopping and starting it");
    let pid = || root.read("/run/virtproxyd.pid");
    root.run("/etc/init.d/virtproxyd start")?;
    answers(root)?;
    let first = pid()?;
    root.run("/etc/init.d/virtproxyd restart")?;
    answers(root)?;
    let second = pid()?;
    ensure!(first != second, "it was not restarted");
    root.run("/etc/init.d/virtproxyd start && /etc/init.d/virtproxyd status")?;
    ensure!(second == pid()?, "it was started and ran already");
    root.run("/etc/init.d/virtproxyd reload")?;
    answers(root)?;
    root.run("/etc/init.d/virtproxyd stop")?;
    is_gone(root, PROGRAM)?;
    ensure!(answers(root).is_err(), "it was stopped and still serves");
    root.run("/etc/init.d/virtproxyd start")?;
    answers(root)?;

    remove_and_install(root, package)
}

/// Where systemd opens the sockets.
fn under_systemd(root: &Root, package: &Package) -> Result<()> {
    tell("installing the package: its sockets are open, and it starts with the first client");
    install(root, package)?;
    is_gone(root, PROGRAM)?;
    root.run("cd /lib/systemd/system && systemd-analyze verify --man=no ./virtproxyd*")?;
    answers(root)?;
    root.run("systemctl --quiet is-active virtproxyd.service")?;

    tell("letting users look at domains, and not manage them");
    root.run(&as_nobody(ASK_READ_ONLY))?;
    let refused = root.try_run(&as_nobody(ASK))?;
    ensure!(
        !refused.status.success() && refused.stderr.contains("authentication"),
        "polkit has not refused: {refused}"
    );

    tell("reloading, restarting and stopping it");
    root.run("systemctl reload virtproxyd.service")?;
    answers(root)?;
    root.run("systemctl restart virtproxyd.service")?;
    answers(root)?;
    root.run("systemctl stop virtproxyd.service")?;
    is_gone(root, PROGRAM)?;
    answers(root)?;

    tell("opening a port too, and closing all");
    // That for TLS would want certificates.
    let port = "virtproxyd-tcp.socket";
    root.run("systemctl stop virtproxyd.service")?;
    root.run(&format!("systemctl start {port}"))?;
    answers(root)?;
    root.run(&format!("systemctl --quiet is-active {port}"))?;
    root.run("systemctl stop virtproxyd.socket")?;
    is_gone(root, PROGRAM)?;
    root.run("test ! -e /run/libvirt/libvirt-sock -a ! -e /run/libvirt/libvirt-sock-ro")?;
    root.run("systemctl start virtproxyd.socket virtproxyd-ro.socket virtproxyd-admin.socket")?;
    answers(root)?;

    remove_and_install(root, package)
}

/// Where libvirtd is in use.
fn beside_libvirtd(root: &Root, package: &Package) -> Result<()> {
    let is_active = |units: &str| root.run(&format!("systemctl --quiet is-active {units}"));
    tell("installing the package: libvirtd stays");
    let said = install(root, package)?;
    ensure!(said.contains("To change over"), "nothing was told: {said}");
    is_active("libvirtd.socket")?;
    answers(root)?;
    let enabled = root.try_run("systemctl is-enabled virtproxyd.socket virtproxyd.service")?;
    ensure!(!enabled.stdout.contains("enabled"), "it is on: {enabled}");

    tell("changing over, and back");
    root.run("systemctl enable --now virtproxyd.socket")?;
    is_active("virtproxyd.socket")?;
    ensure!(
        is_active("libvirtd.socket").is_err(),
        "both have the socket"
    );
    // No daemon of that scheme is there.
    ensure!(answers(root).is_err(), "libvirtd still serves");
    is_active("virtproxyd.service")?;
    root.run("systemctl disable --now virtproxyd.socket")?;
    root.run("systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket")?;
    answers(root)
}

fn remove_and_install(root: &Root, package: &Package) -> Result<()> {
    tell("removing it: it is stopped");
    root.run(&format!("dpkg --remove {}", package.name))?;
    is_gone(root, PROGRAM)?;
    root.run("test ! -e /run/libvirt/libvirt-sock -a ! -e /run/libvirt/libvirt-sock-ro")?;

    tell("installing it again: it serves, with the configuration that was kept");
    install(root, package)?;
    answers(root)
}

/// Has a real client ask for a domain's state, over the socket that reads and writes.
fn answers(root: &Root) -> Result<()> {
    let shown = root.run(&format!("{ASK} domstate test"))?;
    ensure!(shown.trim() == "running", "virsh shows {shown}");
    Ok(())
}

/// A user that owns nothing; virsh wants a folder for its own files.
fn as_nobody(virsh: &str) -> String {
    format!("runuser -u nobody -- env HOME=/tmp {virsh} domstate test")
}
