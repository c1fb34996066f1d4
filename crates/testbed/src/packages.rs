//! The Debian packages that tests and benchmarks need. A test whose package is missing fails with
//! the package's name; it is never skipped.

use std::path::Path;

use anyhow::{Result, bail};

/// Who needs a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededFor {
    /// Tests fail without it.
    Tests,
    /// The Debian package is built and checked with it.
    Package,
    /// A benchmark compares with it where it is installed.
    Comparison,
}

/// A Debian package.
#[derive(Debug)]
pub struct Package {
    /// The name that `apt-get install` takes.
    pub name: &'static str,
    /// Who needs it.
    pub needed_for: NeededFor,
    /// What it is used for, in a few words.
    pub purpose: &'static str,
    /// Files that are there once it is installed.
    pub proof: &'static [&'static str],
}

/// Every package that is needed.
pub const PACKAGES: &[Package] = &[
    Package {
        name: "pcp",
        needed_for: NeededFor::Tests,
        purpose: "the real pmcd, its clients, and the pmproxy to compare with",
        proof: &[
            "/usr/bin/pminfo",
            "/usr/bin/pmrep",
            "/usr/lib/pcp/bin/pmcd",
            "/usr/lib/pcp/bin/pmnsmerge",
            "/usr/lib/pcp/bin/pmproxy",
            "/var/lib/pcp/pmdas/linux/pmdalinux",
            "/var/lib/pcp/pmdas/mmv/pmda_mmv.so",
            "/var/lib/pcp/pmdas/root/pmdaroot",
        ],
    },
    Package {
        name: "libpcp-pmda3-dev",
        needed_for: NeededFor::Tests,
        purpose: "the library and the header that programs of collectors are made with",
        proof: &["/usr/include/pcp/pmda.h", "/usr/lib/libpcp_pmda.so"],
    },
    Package {
        name: "gcc",
        needed_for: NeededFor::Tests,
        purpose: "programs in C that use our libraries",
        proof: &["/usr/bin/gcc"],
    },
    Package {
        name: "pkg-config",
        needed_for: NeededFor::Tests,
        purpose: "what our libraries tell about how to link with them",
        proof: &["/usr/bin/pkg-config"],
    },
    Package {
        name: "patchelf",
        needed_for: NeededFor::Package,
        purpose: "a library that does not name what every program has",
        proof: &["/usr/bin/patchelf"],
    },
    Package {
        name: "iproute2",
        needed_for: NeededFor::Tests,
        purpose: "unroutable addresses and networks without a route",
        proof: &["/usr/sbin/ip"],
    },
    Package {
        name: "libc6-dev",
        needed_for: NeededFor::Tests,
        purpose: "programs in C without shared libraries",
        proof: &["/usr/lib/x86_64-linux-gnu/libc.a"],
    },
    Package {
        name: "dante-server",
        needed_for: NeededFor::Tests,
        purpose: "a SOCKS server of versions 4 and 5",
        proof: &["/usr/sbin/danted"],
    },
    Package {
        name: "microsocks",
        needed_for: NeededFor::Tests,
        purpose: "another SOCKS server, which speaks version 5",
        proof: &["/usr/bin/microsocks"],
    },
    Package {
        name: "curl",
        needed_for: NeededFor::Tests,
        purpose: "a client that does not come from PCP",
        proof: &["/usr/bin/curl"],
    },
    Package {
        name: "python3",
        needed_for: NeededFor::Tests,
        purpose: "a client with an event loop",
        proof: &["/usr/bin/python3"],
    },
    Package {
        name: "gnutls-bin",
        needed_for: NeededFor::Tests,
        purpose: "certificates as libvirt's handbook makes them",
        proof: &["/usr/bin/certtool"],
    },
    Package {
        name: "libnss3-tools",
        needed_for: NeededFor::Tests,
        purpose: "NSS databases as their own tools make them",
        proof: &["/usr/bin/certutil"],
    },
    Package {
        name: "openssl",
        needed_for: NeededFor::Tests,
        purpose: "a judge of keys and certificates",
        proof: &["/usr/bin/openssl"],
    },
    Package {
        name: "socat",
        needed_for: NeededFor::Tests,
        purpose: "secure channels for clients that begin without one",
        proof: &["/usr/bin/socat"],
    },
    Package {
        name: "sasl2-bin",
        needed_for: NeededFor::Tests,
        purpose: "users whom pmcd can authenticate",
        proof: &["/usr/sbin/saslpasswd2"],
    },
    Package {
        name: "libsasl2-modules",
        needed_for: NeededFor::Tests,
        purpose: "ways for users to authenticate themselves",
        proof: &["/usr/share/doc/libsasl2-modules/copyright"],
    },
    Package {
        name: "dbus",
        needed_for: NeededFor::Tests,
        purpose: "the system bus, over which Avahi is spoken to",
        proof: &["/usr/bin/dbus-daemon", "/usr/share/dbus-1/system.conf"],
    },
    Package {
        name: "polkitd",
        needed_for: NeededFor::Tests,
        purpose: "a real polkit, which is asked who may come in",
        proof: &["/usr/lib/polkit-1/polkitd"],
    },
    Package {
        name: "python3-dbus",
        needed_for: NeededFor::Tests,
        purpose: "someone whom polkit can ask for a password",
        proof: &["/usr/lib/python3/dist-packages/dbus/service.py"],
    },
    Package {
        name: "python3-gi",
        needed_for: NeededFor::Tests,
        purpose: "what waits for polkit's questions",
        proof: &["/usr/lib/python3/dist-packages/gi/__init__.py"],
    },
    Package {
        name: "avahi-daemon",
        needed_for: NeededFor::Tests,
        purpose: "a real Avahi, through which services are advertised",
        proof: &[
            "/usr/sbin/avahi-daemon",
            "/usr/share/dbus-1/system.d/avahi-dbus.conf",
        ],
    },
    Package {
        name: "avahi-utils",
        needed_for: NeededFor::Tests,
        purpose: "the browser that finds advertised services",
        proof: &["/usr/bin/avahi-browse"],
    },
    Package {
        name: "python3-prometheus-client",
        needed_for: NeededFor::Tests,
        purpose: "the parser of Prometheus's own client library",
        proof: &["/usr/lib/python3/dist-packages/prometheus_client/openmetrics/parser.py"],
    },
    Package {
        name: "systemd",
        needed_for: NeededFor::Tests,
        purpose: "an activator of sockets, and a judge of units",
        proof: &[
            "/usr/bin/systemd-analyze",
            "/usr/bin/systemd-socket-activate",
        ],
    },
    Package {
        name: "libvirt-daemon",
        needed_for: NeededFor::Tests,
        purpose: "the real libvirtd, in place of the modular daemons",
        proof: &["/usr/sbin/libvirtd"],
    },
    Package {
        name: "libvirt-daemon-driver-qemu",
        needed_for: NeededFor::Tests,
        purpose: "libvirtd's driver for real guests",
        proof: &["/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"],
    },
    Package {
        name: "qemu-system-x86",
        needed_for: NeededFor::Tests,
        purpose: "real guests",
        proof: &["/usr/bin/qemu-system-x86_64"],
    },
    Package {
        name: "libvirt-clients",
        needed_for: NeededFor::Tests,
        purpose: "libvirt's own clients",
        proof: &["/usr/bin/virsh", "/usr/bin/virt-admin"],
    },
    Package {
        name: "python3-libvirt",
        needed_for: NeededFor::Tests,
        purpose: "what virsh cannot do: events to many, streams, descriptors",
        proof: &["/usr/lib/python3/dist-packages/libvirt.py"],
    },
    Package {
        name: "docker.io",
        needed_for: NeededFor::Tests,
        purpose: "real containers, and the containerd that comes with it",
        proof: &["/usr/sbin/dockerd", "/usr/bin/docker"],
    },
    Package {
        name: "containerd",
        needed_for: NeededFor::Tests,
        purpose: "real containers that Docker knows nothing of",
        proof: &["/usr/bin/containerd", "/usr/bin/ctr"],
    },
    Package {
        name: "podman",
        needed_for: NeededFor::Tests,
        purpose: "real containers without a daemon",
        proof: &["/usr/bin/podman"],
    },
    Package {
        name: "lxc",
        needed_for: NeededFor::Tests,
        purpose: "real containers of LXC",
        proof: &["/usr/bin/lxc-start", "/usr/bin/lxc-info"],
    },
    Package {
        name: "busybox-static",
        needed_for: NeededFor::Tests,
        purpose: "what runs in those containers",
        proof: &["/bin/busybox"],
    },
    Package {
        name: "debootstrap",
        needed_for: NeededFor::Package,
        purpose: "a fresh Debian to install the package in",
        proof: &["/usr/sbin/debootstrap"],
    },
    Package {
        name: "systemd-container",
        needed_for: NeededFor::Package,
        purpose: "a systemd that starts what is in that Debian",
        proof: &["/usr/bin/systemd-nspawn"],
    },
    Package {
        name: "dpkg-dev",
        needed_for: NeededFor::Package,
        purpose: "what finds the packages that programs depend on",
        proof: &["/usr/bin/dpkg-shlibdeps"],
    },
    Package {
        name: "g++",
        needed_for: NeededFor::Tests,
        purpose: "libFuzzer, which is C++",
        proof: &["/usr/bin/g++"],
    },
    Package {
        name: "haproxy",
        needed_for: NeededFor::Comparison,
        purpose: "a proxy to compare speed with",
        proof: &["/usr/sbin/haproxy"],
    },
    Package {
        name: "tsocks",
        needed_for: NeededFor::Comparison,
        purpose: "what runs clients through SOCKS servers for PCP's own pmsocks",
        proof: &["/usr/bin/tsocks", "/usr/lib/x86_64-linux-gnu/libtsocks.so"],
    },
    Package {
        name: "proxychains4",
        needed_for: NeededFor::Comparison,
        purpose: "another one that runs clients through SOCKS servers",
        proof: &["/usr/bin/proxychains4"],
    },
];

impl Package {
    /// Whether all files that prove it are there.
    pub fn is_installed(&self) -> bool {
        self.absent().is_none()
    }

    fn absent(&self) -> Option<&'static str> {
        self.proof
            .iter()
            .find(|file| !Path::new(file).exists())
            .copied()
    }
}

/// The packages that are needed for this and not installed.
pub fn missing(needed_for: NeededFor) -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| package.needed_for == needed_for && !package.is_installed())
        .collect()
}

/// Passes if the package is installed.
///
/// # Errors
/// Names the package, the file that is not there, and what to do.
pub fn require(name: &str) -> Result<()> {
    let Some(package) = PACKAGES.iter().find(|package| package.name == name) else {
        bail!("no test has said that it needs the Debian package {name}");
    };
    match package.absent() {
        None => Ok(()),
        Some(file) => bail!(
            "the Debian package {name} is missing (there is no {file}); \
             `cargo xtask test` installs it, or run `apt-get install {name}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_that_tests_need_is_installed() {
        let names: Vec<&str> = missing(NeededFor::Tests)
            .iter()
            .map(|package| package.name)
            .collect();
        assert!(
            names.is_empty(),
            "missing Debian packages: {}",
            names.join(" ")
        );
    }

    #[test]
    fn a_missing_package_is_named_with_the_file_that_shows_it() {
        let package = Package {
            name: "unobtainium",
            needed_for: NeededFor::Tests,
            purpose: "nothing",
            proof: &["/", "/no/such/file"],
        };
        assert_eq!(package.absent(), Some("/no/such/file"));
        assert!(!package.is_installed());
    }
}
