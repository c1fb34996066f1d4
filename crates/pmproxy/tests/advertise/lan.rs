//! Hosts on a network of their own, made of namespaces, each with its own system bus and Avahi. The
//! machine on which the tests run notices nothing, and nothing is left when a test ends.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, Result};
use testbed::{Client, PATIENCE, Running, Scratch, eventually, packages};

/// Gives a host its name, a `/run` of its own, and stays.
const SETTLE: &str = "\
    mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/dbus /run/avahi-daemon && \
    hostname \"$0\" && ip link set lo up && echo settled && exec sleep infinity";

const AVAHI_SETTINGS: &str = "\
    [server]\nuse-ipv4=yes\nuse-ipv6=no\n[publish]\npublish-hinfo=no\npublish-workstation=no\n";

/// A host on the network.
pub(crate) struct Host {
    name: &'static str,
    /// Its namespaces are those of this process.
    resident: Running,
    scratch: Scratch,
}

/// Two hosts on one network: alpha has the address 10.77.0.1, beta 10.77.0.2.
pub(crate) fn lan() -> Result<(Host, Host)> {
    for package in ["iproute2", "dbus", "avahi-daemon", "avahi-utils", "pcp"] {
        packages::require(package)?;
    }
    let (mut alpha, mut beta) = (Host::new("alpha")?, Host::new("beta")?);
    let neighbour = beta.pid().to_string();
    alpha.sh(&format!(
        "ip link add eth0 type veth peer name eth0 netns {neighbour}"
    ))?;
    for (host, address) in [(&mut alpha, "10.77.0.1/24"), (&mut beta, "10.77.0.2/24")] {
        host.sh(&format!(
            "ip addr add {address} dev eth0 && ip link set eth0 up"
        ))?;
    }
    Ok((alpha, beta))
}

impl Host {
    fn new(name: &'static str) -> Result<Host> {
        let resident = Client::new("unshare")
            .args(["--mount", "--net", "--uts", "/bin/sh", "-c", SETTLE, name])
            .start()?;
        let settled = eventually(PATIENCE, format!("host {name} to settle"), || {
            resident.stdout().contains("settled")
        });
        settled.with_context(|| {
            let stderr = resident.stderr();
            format!("cannot make namespaces, which only root can: {stderr}")
        })?;
        Ok(Host {
            name,
            resident,
            scratch: Scratch::new()?,
        })
    }

    fn pid(&mut self) -> u32 {
        self.resident.process().pid()
    }

    /// A program that is to run on this host.
    pub(crate) fn program(&mut self, words: &[&str]) -> Client {
        let pid = self.pid().to_string();
        Client::new("nsenter")
            .args(["--mount", "--net", "--uts", "--target", &pid])
            .args(words)
    }

    /// Runs a shell script on this host and gives what it printed.
    pub(crate) fn sh(&mut self, script: &str) -> Result<String> {
        self.program(&["/bin/sh", "-c", script]).run()?.succeeded()
    }

    /// The path of something in a folder that every host sees.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        self.scratch.write(name, content)
    }

    /// Starts the system bus and waits until it can be reached.
    pub(crate) fn start_bus(&mut self) -> Result<Running> {
        let socket = format!("/proc/{}/root/run/dbus/system_bus_socket", self.pid());
        // An earlier one may have been killed.
        self.sh("rm -f /run/dbus/system_bus_socket")?;
        let bus = self
            .program(&["dbus-daemon", "--system", "--nofork", "--nopidfile"])
            .start()?;
        eventually(PATIENCE, format!("the bus of {}", self.name), || {
            UnixStream::connect(&socket).is_ok()
        })
        .with_context(|| bus.stderr())?;
        Ok(bus)
    }

    /// Starts Avahi, with more settings for its section `[publish]`, and waits until it is up.
    pub(crate) fn start_avahi(&mut self, settings: &str) -> Result<Running> {
        let settings = format!("{AVAHI_SETTINGS}{settings}");
        let settings = self.write("avahi-daemon.conf", settings.as_bytes())?;
        let settings = settings.to_string_lossy();
        // As root, since becoming the user avahi wants a /run prepared by the package's scripts.
        let avahi = self
            .program(&[
                "avahi-daemon",
                "--no-drop-root",
                "--no-chroot",
                "--no-rlimits",
            ])
            .args(["-f", &settings])
            .start()?;
        eventually(PATIENCE, format!("Avahi of {}", self.name), || {
            avahi.stderr().contains("Server startup complete")
        })
        .with_context(|| avahi.stderr())?;
        Ok(avahi)
    }

    /// What a real browser on this host finds. It needs an Avahi here.
    pub(crate) fn browse(&mut self) -> Result<Vec<Found>> {
        let browser = self.program(&["avahi-browse", "-rtp", "_pmproxy._tcp"]);
        let lines = browser.run()?.succeeded()?;
        let mut found: Vec<Found> = lines.lines().filter_map(Found::parse).collect();
        found.sort();
        Ok(found)
    }

    /// Waits until the browser's finds are as they should be.
    pub(crate) fn await_finds(
        &mut self,
        what: &str,
        mut are_right: impl FnMut(&[Found]) -> bool,
    ) -> Result<()> {
        let mut last = Ok(Vec::new());
        let waited = eventually(PATIENCE, what, || {
            last = self.browse();
            last.as_ref().is_ok_and(|found| are_right(found))
        });
        waited.with_context(|| format!("found at last: {last:?}"))
    }
}

/// A service that a browser found on the network (not on loopback).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) txt: String,
}

impl Found {
    /// A line that `avahi-browse --parsable` prints for a service it has resolved.
    fn parse(line: &str) -> Option<Found> {
        let fields: Vec<&str> = line.split(';').collect();
        let &["=", interface, _, name, _, _, host, address, port, txt] = fields.as_slice() else {
            return None;
        };
        (interface != "lo").then_some(Found {
            name: unescaped(name)?,
            host: host.into(),
            address: address.into(),
            port: port.parse().ok()?,
            txt: txt.into(),
        })
    }
}

/// The text behind `\DDD`, three decimal digits for a byte.
fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next()?.to_owned();
    for piece in pieces {
        plain.push(char::from(piece.get(..3)?.parse::<u8>().ok()?));
        plain.push_str(piece.get(3..)?);
    }
    Some(plain)
}
