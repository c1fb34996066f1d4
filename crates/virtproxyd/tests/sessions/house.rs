//! What the tests start: our virtproxyd, and a house of it and a real libvirtd, which must be in
//! order again after each bad guest.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::{
    Client, Finished, Libvirtd, LibvirtdBuilder, PATIENCE, Process, Running, VirtWire, Virtproxyd,
    VirtproxydBuilder, eventually, python_libvirt, uri_unix, virsh,
};
use virt_proto::{GetUri, OpenFlags, Uri};

/// A driver that has all in memory.
pub(crate) const TEST: &str = "test:///default";

/// The driver of real guests.
pub(crate) const QEMU: &str = "qemu:///system";

/// The modular daemons for which the one libvirtd stands.
const DRIVERS: [&str; 8] = [
    "interface",
    "network",
    "nodedev",
    "nwfilter",
    "qemu",
    "secret",
    "storage",
    "test",
];

/// Ours, to be started.
pub(crate) fn virtproxyd() -> VirtproxydBuilder {
    Virtproxyd::builder(env!("CARGO_BIN_EXE_virtproxyd"))
}

/// A client that runs one of the scripts beside this file.
pub(crate) fn script(name: &str, uri: &str) -> Client {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sessions")
        .join(name);
    python_libvirt(&path).args([uri])
}

/// Starts a client and waits until it has printed a line with `text`.
pub(crate) fn start_until(client: &Client, text: &str) -> Result<Running> {
    let running = client.start()?;
    eventually(PATIENCE, format!("«{text}» from {client}"), || {
        running.stdout().contains(text)
    })
    .with_context(|| format!("{}\n{}", running.stdout(), running.stderr()))?;
    Ok(running)
}

/// Our virtproxyd and a real libvirtd.
pub(crate) struct House {
    pub(crate) proxy: Virtproxyd,
    pub(crate) libvirtd: Libvirtd,
    /// The descriptors that proxy and libvirtd have when nobody is there.
    at_rest: (usize, usize),
}

/// Where a client may knock: at the proxy or at libvirtd itself.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) socket: PathBuf,
    pub(crate) socket_ro: PathBuf,
}

impl House {
    pub(crate) fn open() -> Result<House> {
        House::open_with(virtproxyd(), Libvirtd::builder())
    }

    pub(crate) fn open_with(proxy: VirtproxydBuilder, libvirtd: LibvirtdBuilder) -> Result<House> {
        let (proxy, libvirtd) = (proxy.start()?, libvirtd.start()?);
        for driver in DRIVERS {
            libvirtd.link_as(&proxy.daemons(), driver)?;
        }
        let mut house = House {
            proxy,
            libvirtd,
            at_rest: (0, 0),
        };
        house.settle()?;
        Ok(house)
    }

    /// Takes the descriptors that are open when all clients have left for those at rest.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.serves()?;
        self.at_rest = (at_rest(&self.proxy)?, at_rest(&self.libvirtd)?);
        Ok(())
    }

    /// The way through the proxy.
    pub(crate) fn proxied(&self) -> Door {
        Door {
            socket: self.proxy.socket(),
            socket_ro: self.proxy.socket_ro(),
        }
    }

    /// The way past it.
    pub(crate) fn direct(&self) -> Door {
        Door {
            socket: self.libvirtd.socket(),
            socket_ro: self.libvirtd.socket_ro(),
        }
    }

    /// Does the same at both doors, and expects the same of both. Gives what came of it.
    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        mut scenario: impl FnMut(&Door) -> Result<T>,
    ) -> Result<T> {
        let direct = scenario(&self.direct()).context("directly")?;
        let proxied = scenario(&self.proxied()).context("through the proxy")?;
        ensure!(
            direct == proxied,
            "directly: {direct:?}\nthrough the proxy: {proxied:?}"
        );
        Ok(proxied)
    }

    /// Expects a client to be served.
    pub(crate) fn serves(&self) -> Result<()> {
        let mut wire = self.proxied().wire()?;
        wire.open(TEST, OpenFlags::default())?;
        let Ok(Uri(uri)) = wire.call(&GetUri)? else {
            anyhow::bail!("the URI was refused");
        };
        ensure!(uri == TEST, "opened {uri}");
        Ok(())
    }

    /// Lets a bad guest in a few times, and expects the house to be in order each time after it.
    pub(crate) fn survives(&self, mut guest: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..3 {
            guest()?;
            self.serves()?;
        }
        self.is_in_order()
    }

    /// Expects that nobody left anything behind and that a client is served.
    pub(crate) fn is_in_order(&self) -> Result<()> {
        self.proxy.await_descriptors(self.at_rest.0)?;
        self.serves()?;
        self.proxy.await_descriptors(self.at_rest.0)?;
        self.libvirtd.await_descriptors(self.at_rest.1)
    }
}

impl Door {
    /// A URI that leads through this door.
    pub(crate) fn uri(&self, uri: &str) -> String {
        uri_unix(uri, &self.socket)
    }

    /// A connection that speaks in frames.
    pub(crate) fn wire(&self) -> Result<VirtWire> {
        VirtWire::unix(&self.socket)
    }

    /// Runs a command of virsh, whatever comes of it.
    pub(crate) fn virsh(&self, uri: &str, args: &[&str]) -> Result<Answer> {
        Ok(self.answer(virsh(&self.uri(uri)).args(args).run()?))
    }

    /// Runs a command of virsh to its good end, and gives what it printed.
    pub(crate) fn do_virsh(&self, uri: &str, args: &[&str]) -> Result<String> {
        virsh(&self.uri(uri)).args(args).run()?.succeeded()
    }

    /// What a client said, without the door that it came through.
    pub(crate) fn answer(&self, finished: Finished) -> Answer {
        let neutral = |text: String| {
            text.replace(&*self.socket_ro.to_string_lossy(), "DOOR")
                .replace(&*self.socket.to_string_lossy(), "DOOR")
        };
        Answer {
            status: finished.status.code(),
            stdout: neutral(finished.stdout),
            stderr: neutral(finished.stderr),
        }
    }
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The descriptors that a daemon has when nobody is there. It may still be closing the connection of
/// the last client: the fewest of some looks count.
fn at_rest(process: &Process) -> Result<usize> {
    let mut fewest = process.descriptors()?;
    for _ in 0..10 {
        sleep(Duration::from_millis(5));
        fewest = fewest.min(process.descriptors()?);
    }
    Ok(fewest)
}
