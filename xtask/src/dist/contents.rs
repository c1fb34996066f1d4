//! What each package has, where it goes, and how it is checked.

use std::path::PathBuf;

use anyhow::Result;

use super::check::{self, Place};
use super::deb::Package;
use crate::startup::{self, Launcher};
use crate::tree::{cargo, must, target};

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

/// What is built with a program and found by it: another program, or a shared object.
pub(super) struct Part {
    /// The crate that it is built from.
    pub(super) krate: &'static str,
    /// How cargo calls it.
    pub(super) file: &'static str,
    /// Builds it, where cargo's usual way is not the one.
    pub(super) builder: Option<fn() -> Result<PathBuf>>,
    /// Where it goes.
    pub(super) place: &'static str,
    pub(super) kind: Kind,
}

/// A program or a library that was built.
pub(super) struct Built {
    pub(super) file: PathBuf,
    pub(super) place: &'static str,
    pub(super) kind: Kind,
    /// Whether it has all that it needs of other libraries in it.
    pub(super) is_static: bool,
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
    /// Builds the program, where cargo's usual way is not the one.
    pub(super) builder: Option<fn() -> Result<Launcher>>,
    pub(super) parts: &'static [Part],
    /// Whose work is in a static program besides ours and the crates', as a paragraph of Debian's
    /// copyright file.
    pub(super) others: &'static str,
    pub(super) files: &'static [File],
    /// Folders that the package has for files of others.
    pub(super) folders: &'static [&'static str],
    /// The manual pages, which Debian wants compressed.
    pub(super) manuals: &'static [&'static str],
    /// Debian's package that this one stands in for, or stands beside.
    pub(super) beside: &'static str,
    /// Installs, uses, removes and purges it.
    pub(super) check: fn(&Package, Place) -> Result<()>,
}

impl Contents {
    /// The crates of the package.
    pub(super) fn crates(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.parts.iter().map(|part| part.krate);
        std::iter::once(self.program).chain(parts)
    }

    /// Builds the program and its parts. What was built, and where it goes.
    pub(super) fn build(&self) -> Result<Vec<Built>> {
        let mut build = cargo();
        build.args(["build", "--quiet", "--release"]);
        let program = self.builder.is_none().then_some(self.program);
        let parts = self.parts.iter().filter(|part| part.builder.is_none());
        let usual = program.into_iter().chain(parts.map(|part| part.krate));
        must(build.args(usual.flat_map(|krate| ["--package", krate])))?;
        let folder = target()?.join("release");
        let built = match self.builder {
            Some(build) => build()?,
            None => Launcher {
                path: folder.join(self.program),
                is_static: false,
            },
        };
        let program = Built {
            file: built.path,
            place: self.place,
            kind: Kind::Program,
            is_static: built.is_static,
        };
        let part = |part: &Part| {
            let usual = || Ok(folder.join(part.file));
            Ok(Built {
                file: part.builder.map_or_else(usual, |build| build())?,
                place: part.place,
                kind: part.kind,
                is_static: false,
            })
        };
        let parts = self.parts.iter().map(part);
        std::iter::once(Ok(program)).chain(parts).collect()
    }

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
pub(super) const PACKAGES: [&Contents; 3] = [&PMPROXY, &PMSOCKS, &VIRTPROXYD];

const PMPROXY: Contents = Contents {
    package: "gatehouse-pmproxy",
    program: "pmproxy",
    place: "usr/lib/pcp/bin/pmproxy",
    builder: None,
    parts: &[],
    others: "",
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
    manuals: &["usr/share/man/man1/pmproxy.1"],
    beside: "pcp",
    check: check::pmproxy::run,
};

const PMSOCKS: Contents = Contents {
    package: "gatehouse-pmsocks",
    program: "pmsocks",
    place: "usr/bin/pmsocks",
    builder: Some(startup::launcher),
    parts: &[
        Part {
            krate: "pmsocks",
            file: "pmsocks-connect",
            builder: None,
            place: "usr/lib/gatehouse/pmsocks-connect",
            kind: Kind::Program,
        },
        Part {
            krate: "pmsocks-preload",
            file: "libpmsocks_preload.so",
            builder: Some(startup::library),
            place: "usr/lib/gatehouse/libpmsocks_preload.so",
            kind: Kind::Data,
        },
    ],
    others: "\
Files: usr/bin/pmsocks
Copyright: the gatehouse developers
           2005-2020 Rich Felker and others (musl, linked with it; Expat)
           the LLVM project (libunwind, linked with it; Apache-2.0 with
           the LLVM exception)
License: Expat and Apache-2.0

",
    files: &[
        data("pmsocks/pcp_socks.conf", "etc/pcp_socks.conf"),
        data("man/pmsocks.1", "usr/share/man/man1/pmsocks.1"),
        data(
            "man/pcp_socks.conf.5",
            "usr/share/man/man5/pcp_socks.conf.5",
        ),
    ],
    folders: &[],
    manuals: &[
        "usr/share/man/man1/pmsocks.1",
        "usr/share/man/man5/pcp_socks.conf.5",
    ],
    beside: "pcp",
    check: check::pmsocks::run,
};

const VIRTPROXYD: Contents = Contents {
    package: "gatehouse-virtproxyd",
    program: "virtproxyd",
    place: "usr/sbin/virtproxyd",
    builder: None,
    parts: &[],
    others: "",
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
    manuals: &["usr/share/man/man8/virtproxyd.8"],
    beside: "libvirtd",
    check: check::virtproxyd::run,
};
