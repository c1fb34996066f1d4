//! A real libvirtd for one test, with sockets and state of its own. Debian has the monolithic one,
//! which stands in for the modular daemons behind a virtproxyd.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use virt_proto::AuthList;

use super::chamber::Chamber;
use super::guest;
use super::settings::with_defaults;
use super::wire::VirtWire;
use crate::eventually::{PATIENCE, eventually_some};
use crate::packages;
use crate::ports::free_port;
use crate::process::Process;
use crate::scratch::Scratch;

/// The packages without which it cannot be started.
const PACKAGES: [&str; 3] = [
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "qemu-system-x86",
];

/// The machine may have no number that libvirt finds good enough.
const DEFAULTS: &str = "\
host_uuid = \"5f1b7a0e-3a55-4a3c-9b43-2f6d3f0f6a11\"
unix_sock_ro_perms = \"0777\"
unix_sock_rw_perms = \"0777\"
auth_unix_ro = \"none\"
auth_unix_rw = \"none\"
listen_addr = \"127.0.0.1\"
listen_tls = 0
";

/// Guests run as root and without all that a test machine may not have.
const QEMU_DEFAULTS: &str = "\
user = \"root\"
group = \"root\"
dynamic_ownership = 0
security_driver = \"none\"
stdio_handler = \"file\"
cgroup_controllers = []
namespaces = []
";

const SOCKETS: &str = "sock";
const LOG: &str = "libvirtd.log";
const OUTPUT: &str = "libvirtd.output";

/// A running libvirtd. It is a [`Process`]; its guests live on when it is killed or restarted, and
/// end with this value.
pub struct Libvirtd {
    // Dropped in this order: the folder outlives all processes.
    process: Process,
    chamber: Chamber,
    launch: LibvirtdBuilder,
    tcp_port: Option<u16>,
    scratch: Scratch,
}

impl Libvirtd {
    /// Starts one that lets everybody in on its unix sockets, and waits until it answers.
    ///
    /// # Errors
    /// When a Debian package is missing, this is not root, or it does not come up (the error shows
    /// its log).
    pub fn start() -> Result<Libvirtd> {
        Libvirtd::builder().start()
    }

    /// The same, with a choice.
    pub fn builder() -> LibvirtdBuilder {
        LibvirtdBuilder::default()
    }

    /// Ends it if it still runs, and starts it again. Guests live on.
    ///
    /// # Errors
    /// When it does not end, or does not come up again.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.process.terminate()?;
        }
        self.process.kill();
        self.process = run(&self.launch, &self.chamber, &self.scratch, self.tcp_port)?;
        Ok(())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.sockets().join("libvirt-sock")
    }

    /// Its socket for those who may only look.
    pub fn socket_ro(&self) -> PathBuf {
        self.sockets().join("libvirt-sock-ro")
    }

    /// Its port, if it was started with [`LibvirtdBuilder::tcp`].
    pub fn tcp_port(&self) -> Option<u16> {
        self.tcp_port
    }

    /// Its folder, which guests see under the same path.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Gives its sockets the names of a modular daemon's in `folder`: `qemu` makes
    /// `virtqemud-sock` and `virtqemud-sock-ro`.
    ///
    /// # Errors
    /// When a link cannot be made.
    pub fn link_as(&self, folder: &Path, driver: &str) -> Result<()> {
        for (socket, suffix) in [(self.socket(), ""), (self.socket_ro(), "-ro")] {
            let link = folder.join(format!("virt{driver}d-sock{suffix}"));
            symlink(socket, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
        Ok(())
    }

    /// Writes the XML of a guest that runs as soon as it is started, and gives the file's path. It
    /// has no disk and no network. On its console it says [`GUEST_BANNER`](super::GUEST_BANNER) and
    /// then sends back each byte that it gets; there is a VNC display, to which descriptors lead.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn guest(&self, name: &str) -> Result<PathBuf> {
        let firmware = self.scratch.write("echo.rom", guest::firmware())?;
        let xml = guest::xml(name, &firmware);
        self.scratch.write(format!("{name}.xml"), xml)
    }

    /// All that is in its log.
    pub fn log(&self) -> String {
        read_lossy(&self.scratch.join(LOG))
    }

    fn sockets(&self) -> PathBuf {
        self.scratch.join(SOCKETS)
    }
}

impl Deref for Libvirtd {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Libvirtd {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", report(&self.scratch));
        }
    }
}

impl std::fmt::Debug for Libvirtd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "libvirtd in {} (pid {})",
            self.folder().display(),
            self.process.pid()
        )
    }
}

/// A libvirtd that is to be started.
#[derive(Debug, Default)]
pub struct LibvirtdBuilder {
    config: String,
    qemu_config: String,
    sasl: Option<String>,
    tcp: bool,
    env: Vec<(OsString, OsString)>,
}

impl LibvirtdBuilder {
    /// Lines of its `libvirtd.conf`: `auth_unix_rw = "polkit"`, `keepalive_interval = 1`,
    /// `max_client_requests = 1`. They come before what the testbed would set.
    #[must_use]
    pub fn config(mut self, lines: &str) -> LibvirtdBuilder {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// Lines of its `qemu.conf`, likewise.
    #[must_use]
    pub fn qemu_config(mut self, lines: &str) -> LibvirtdBuilder {
        self.qemu_config.push_str(lines);
        self.qemu_config.push('\n');
        self
    }

    /// The text of what libsasl2 reads as `/etc/sasl2/libvirt.conf` in this daemon.
    #[must_use]
    pub fn sasl(mut self, text: impl Into<String>) -> LibvirtdBuilder {
        self.sasl = Some(text.into());
        self
    }

    /// It listens on a free TCP port too. Unless `auth_tcp` is set, it wants SASL there.
    #[must_use]
    pub fn tcp(mut self) -> LibvirtdBuilder {
        self.tcp = true;
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> LibvirtdBuilder {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// See [`Libvirtd::start`].
    pub fn start(self) -> Result<Libvirtd> {
        PACKAGES.into_iter().try_for_each(packages::require)?;
        let scratch = Scratch::new()?;
        let tcp_port = self.tcp.then(free_port).transpose()?;
        let chamber = self.furnish(&scratch, tcp_port)?;
        let process = run(&self, &chamber, &scratch, tcp_port)?;
        Ok(Libvirtd {
            process,
            chamber,
            launch: self,
            tcp_port,
            scratch,
        })
    }

    /// Writes all that it reads, and opens its chamber.
    fn furnish(&self, scratch: &Scratch, tcp_port: Option<u16>) -> Result<Chamber> {
        scratch.share()?;
        for folder in ["etc", "log", SOCKETS] {
            scratch.folder(folder)?;
        }
        if let Some(text) = &self.sasl {
            scratch.folder("sasl2")?;
            scratch.write("sasl2/libvirt.conf", text)?;
        }
        let mut defaults = format!(
            "{DEFAULTS}unix_sock_dir = \"{}\"\nlog_outputs = \"3:file:{}\"\n",
            scratch.join(SOCKETS).display(),
            scratch.join(LOG).display()
        );
        if let Some(port) = tcp_port {
            defaults += &format!("listen_tcp = 1\ntcp_port = \"{port}\"\n");
        }
        scratch.write("etc/libvirtd.conf", with_defaults(&defaults, &self.config))?;
        scratch.write(
            "etc/qemu.conf",
            with_defaults(QEMU_DEFAULTS, &self.qemu_config),
        )?;
        Chamber::open(scratch, &capabilities()?)
    }
}

/// Where all tests share what libvirtd finds out about the emulator: beside the test programs, where
/// Cargo keeps what it can make again.
fn capabilities() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the test program")?;
    let folder = program.with_file_name("libvirt-capabilities");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Starts the daemon in its chamber and waits until it answers.
fn run(
    launch: &LibvirtdBuilder,
    chamber: &Chamber,
    scratch: &Scratch,
    tcp_port: Option<u16>,
) -> Result<Process> {
    let socket = scratch.join(SOCKETS).join("libvirt-sock");
    // One that was killed leaves it behind.
    let _ = fs::remove_file(&socket);
    let mut command = chamber.command("libvirtd");
    command
        .arg("--config")
        .arg(scratch.join("etc/libvirtd.conf"));
    command.arg("--pid-file").arg(scratch.join("libvirtd.pid"));
    if tcp_port.is_some() {
        command.arg("--listen");
    }
    let output = File::create(scratch.join(OUTPUT))?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn("libvirtd", command)?;
    let answer = eventually_some(PATIENCE, "libvirtd to answer", || {
        if process.ended().ok().flatten().is_some() {
            return Some(false);
        }
        let mut wire = VirtWire::unix(&socket).ok()?;
        wire.call(&AuthList).is_ok().then_some(true)
    });
    match answer.with_context(|| report(scratch))? {
        true => Ok(process),
        false => bail!(
            "libvirtd ended while it was being started\n{}",
            report(scratch)
        ),
    }
}

fn read_lossy(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All that the daemon has said, for messages.
fn report(scratch: &Scratch) -> String {
    let (log, output) = (
        read_lossy(&scratch.join(LOG)),
        read_lossy(&scratch.join(OUTPUT)),
    );
    format!("--- log of libvirtd ---\n{log}\n--- output of libvirtd ---\n{output}")
}

#[cfg(test)]
mod tests;
