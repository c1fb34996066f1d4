//! What each package has, where it goes, and how it is checked.

use anyhow::Result;

use super::check::{self, Place};
use super::deb::Package;

/// With which permissions a file is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Program,
    Data,
}

/// A file of the source tree's `dist`, and where it goes.
pub(super) struct File {
    pub(super) source: &'static str,
    pub(super) place: &'static str,
    pub(super) kind: Kind,
}

/// A package with one program.
pub(super) struct Contents {
    /// The name of the package.
    pub(super) package: &'static str,
    /// The name of the program and of its crate; what makes a package of it is in the folder of this
    /// name in `dist/debian`.
    pub(super) program: &'static str,
    /// Where the program goes.
    pub(super) place: &'static str,
    pub(super) files: &'static [File],
    /// Folders that the package has for files of others.
    pub(super) folders: &'static [&'static str],
    /// The manual page, which Debian wants compressed.
    pub(super) manual: &'static str,
    /// Debian's package that this one stands in for, or stands beside.
    pub(super) beside: &'static str,
    /// Installs, uses, removes and purges it.
    pub(super) check: fn(&Package, Place) -> Result<()>,
}

impl Contents {
    /// Where a document about the package goes.
    pub(super) fn document(&self, name: &str) -> String {
        format!("usr/share/doc/{}/{name}", self.package)
    }

    /// The source of what dpkg needs to know about the package, in `dist`.
    pub(super) fn control_file(&self, name: &str) -> String {
        format!("debian/{}/{name}", self.program)
    }
}

const fn program(source: &'static str, place: &'static str) -> File {
    let kind = Kind::Program;
    File {
        source,
        place,
        kind,
    }
}

const fn data(source: &'static str, place: &'static str) -> File {
    let kind = Kind::Data;
    File {
        source,
        place,
        kind,
    }
}

/// All packages.
pub(super) const PACKAGES: [&Contents; 2] = [&PMPROXY, &VIRTPROXYD];

const PMPROXY: Contents = Contents {
    package: "gatehouse-pmproxy",
    program: "pmproxy",
    place: "usr/lib/pcp/bin/pmproxy",
    files: &[
        program("discover/pcp-dns-sd", "usr/lib/pcp/bin/discover/pcp-dns-sd"),
        program("init.d/pmproxy", "etc/init.d/pmproxy"),
        data(
            "systemd/pmproxy.service",
            "lib/systemd/system/pmproxy.service",
        ),
        data(
            "systemd/pmproxy.socket",
            "lib/systemd/system/pmproxy.socket",
        ),
        data(
            "systemd/pmproxy.tmpfiles",
            "usr/lib/tmpfiles.d/gatehouse-pmproxy.conf",
        ),
        data(
            "pmproxy/pmproxy.conf",
            "usr/share/gatehouse-pmproxy/pmproxy.conf",
        ),
        data(
            "pmproxy/pmproxy.options",
            "usr/share/gatehouse-pmproxy/pmproxy.options",
        ),
        data(
            "sysconfig/pmproxy",
            "usr/share/gatehouse-pmproxy/pmproxy.default",
        ),
        data("man/pmproxy.1", "usr/share/man/man1/pmproxy.1"),
    ],
    folders: &["etc/pcp/pmproxy", "var/log/pcp/pmproxy"],
    manual: "usr/share/man/man1/pmproxy.1",
    beside: "pcp",
    check: check::pmproxy::run,
};

const VIRTPROXYD: Contents = Contents {
    package: "gatehouse-virtproxyd",
    program: "virtproxyd",
    place: "usr/sbin/virtproxyd",
    files: &[
        program("init.d/virtproxyd", "etc/init.d/virtproxyd"),
        data(
            "systemd/virtproxyd.service",
            "lib/systemd/system/virtproxyd.service",
        ),
        data(
            "systemd/virtproxyd.socket",
            "lib/systemd/system/virtproxyd.socket",
        ),
        data(
            "systemd/virtproxyd-ro.socket",
            "lib/systemd/system/virtproxyd-ro.socket",
        ),
        data(
            "systemd/virtproxyd-admin.socket",
            "lib/systemd/system/virtproxyd-admin.socket",
        ),
        data(
            "systemd/virtproxyd-tcp.socket",
            "lib/systemd/system/virtproxyd-tcp.socket",
        ),
        data(
            "systemd/virtproxyd-tls.socket",
            "lib/systemd/system/virtproxyd-tls.socket",
        ),
        data("virtproxyd/virtproxyd.conf", "etc/libvirt/virtproxyd.conf"),
        data("sysconfig/virtproxyd", "etc/default/virtproxyd"),
        data("logrotate/virtproxyd", "etc/logrotate.d/virtproxyd"),
        data(
            "polkit/org.libvirt.unix.policy",
            "usr/share/gatehouse-virtproxyd/org.libvirt.unix.policy",
        ),
        data("man/virtproxyd.8", "usr/share/man/man8/virtproxyd.8"),
    ],
    folders: &[],
    manual: "usr/share/man/man8/virtproxyd.8",
    beside: "libvirtd",
    check: check::virtproxyd::run,
};
