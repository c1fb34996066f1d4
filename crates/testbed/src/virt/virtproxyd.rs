//! Our virtproxyd for one test, with sockets and settings of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use virt_proto::AuthList;

use super::settings::with_defaults;
use super::wire::VirtWire;
use crate::eventually::{PATIENCE, eventually, eventually_some};
use crate::ports::free_port;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;

const DEFAULTS: &str = "\
log_level = 1
unix_sock_ro_perms = \"0777\"
unix_sock_rw_perms = \"0777\"
auth_unix_ro = \"none\"
auth_unix_rw = \"none\"
listen_addr = \"127.0.0.1\"
";

const CONFIG: &str = "virtproxyd.conf";
const SOCKETS: &str = "sock";
const DAEMONS: &str = "daemons";
const LOG: &str = "virtproxyd.log";
const OUTPUT: &str = "virtproxyd.output";
const PID_FILE: &str = "virtproxyd.pid";

/// A running virtproxyd. It is a [`Process`].
pub struct Virtproxyd {
    // Dropped in this order: the folder outlives the process.
    process: Process,
    launch: VirtproxydBuilder,
    ports: Ports,
    scratch: Scratch,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    tcp: u16,
    tls: u16,
}

impl Virtproxyd {
    /// Cargo builds `program` for the integration tests of its own crate, which find it with
    /// `env!("CARGO_BIN_EXE_virtproxyd")`. Unless told otherwise it lets everybody in on its unix
    /// sockets and listens on no others.
    pub fn builder(program: impl Into<PathBuf>) -> VirtproxydBuilder {
        VirtproxydBuilder {
            program: program.into(),
            config: String::new(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Ends it if it still runs, and starts it again with the same settings, on the same ports.
    ///
    /// # Errors
    /// When it does not end, or does not come up again.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.process.terminate()?;
        }
        self.process.kill();
        self.process = run(&self.launch, &self.scratch)?;
        Ok(())
    }

    /// Gives it other settings, as [`VirtproxydBuilder::config`] does, and has it read them
    /// (SIGHUP). What comes of it is in its log.
    ///
    /// # Errors
    /// When it has ended, or the file cannot be written.
    pub fn reload(&mut self, config: &str) -> Result<()> {
        self.launch.config = config.to_owned();
        write_config(&self.launch, &self.scratch, self.ports)?;
        self.process.signal(Signal::SIGHUP)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.sockets().join("libvirt-sock")
    }

    /// Its socket for those who may only look.
    pub fn socket_ro(&self) -> PathBuf {
        self.sockets().join("libvirt-sock-ro")
    }

    /// Its admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.sockets().join("libvirt-admin-sock")
    }

    /// The port on which it listens if `listen_tcp` is set.
    pub fn tcp_port(&self) -> u16 {
        self.ports.tcp
    }

    /// The port on which it listens if `listen_tls` is set.
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// The folder where it looks for the modular daemons' sockets; empty at first.
    pub fn daemons(&self) -> PathBuf {
        self.scratch.join(DAEMONS)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Its configuration.
    pub fn config_file(&self) -> PathBuf {
        self.scratch.join(CONFIG)
    }

    /// Its pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.scratch.join(PID_FILE)
    }

    /// All that is in its log.
    pub fn log(&self) -> String {
        read_lossy(&self.scratch.join(LOG))
    }

    /// Waits until its log has `text` in it.
    ///
    /// # Errors
    /// When it never has; the error shows the log.
    pub fn await_log(&self, text: &str) -> Result<()> {
        eventually(PATIENCE, format!("«{text}» in the log"), || {
            self.log().contains(text)
        })
        .with_context(|| report(&self.scratch))
    }

    fn sockets(&self) -> PathBuf {
        self.scratch.join(SOCKETS)
    }
}

impl Deref for Virtproxyd {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Virtproxyd {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Virtproxyd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", report(&self.scratch));
        }
    }
}

impl std::fmt::Debug for Virtproxyd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "virtproxyd in {} (pid {})",
            self.folder().display(),
            self.process.pid()
        )
    }
}

/// A virtproxyd that is to be started.
#[derive(Debug)]
pub struct VirtproxydBuilder {
    program: PathBuf,
    config: String,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl VirtproxydBuilder {
    /// Lines of its configuration. A key that is set here is not set by the testbed. Ports are the
    /// testbed's, so `listen_tcp = 1` is enough.
    #[must_use]
    pub fn config(mut self, lines: &str) -> VirtproxydBuilder {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// More options.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> VirtproxydBuilder {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> VirtproxydBuilder {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When the program cannot be run or does not come up; the error shows its log.
    pub fn start(self) -> Result<Virtproxyd> {
        let scratch = Scratch::new()?;
        scratch.share()?;
        scratch.folder(SOCKETS)?;
        scratch.folder(DAEMONS)?;
        let (tcp, tls) = (free_port()?, free_port()?);
        let ports = Ports { tcp, tls };
        write_config(&self, &scratch, ports)?;
        let process = run(&self, &scratch)?;
        Ok(Virtproxyd {
            process,
            launch: self,
            ports,
            scratch,
        })
    }
}

fn write_config(launch: &VirtproxydBuilder, scratch: &Scratch, ports: Ports) -> Result<()> {
    let defaults = format!(
        "{DEFAULTS}unix_sock_dir = \"{}\"\ndaemon_sock_dir = \"{}\"\nlog_outputs = \"1:file:{}\"\n\
         tcp_port = \"{}\"\ntls_port = \"{}\"\n",
        scratch.join(SOCKETS).display(),
        scratch.join(DAEMONS).display(),
        scratch.join(LOG).display(),
        ports.tcp,
        ports.tls,
    );
    scratch.write(CONFIG, with_defaults(&defaults, &launch.config))?;
    Ok(())
}

/// Expects an answer, and that the connection has gone on the other side too: then the daemon has all
/// the descriptors that it needs by itself, and no other.
fn answers(socket: &Path) -> Result<()> {
    let mut probe = VirtWire::unix(socket)?;
    // Whatever the answer is.
    let _ = probe.call(&AuthList)?;
    probe.finish_sending()?;
    probe.receive_to_end()?;
    Ok(())
}

/// Starts it and waits until it answers.
fn run(launch: &VirtproxydBuilder, scratch: &Scratch) -> Result<Process> {
    let socket = scratch.join(SOCKETS).join("libvirt-sock");
    let mut command = clean_command(&launch.program);
    command.arg("-f").arg(scratch.join(CONFIG));
    command.arg("-p").arg(scratch.join(PID_FILE));
    command.args(&launch.args);
    let output = File::create(scratch.join(OUTPUT))?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn("virtproxyd", command)?;
    let accepts = eventually_some(PATIENCE, "virtproxyd to answer", || {
        if process.ended().ok().flatten().is_some() {
            return Some(false);
        }
        answers(&socket).is_ok().then_some(true)
    });
    match accepts.with_context(|| report(scratch))? {
        true => Ok(process),
        false => bail!(
            "virtproxyd ended while it was being started\n{}",
            report(scratch)
        ),
    }
}

fn read_lossy(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All that it has said, for messages.
fn report(scratch: &Scratch) -> String {
    let (log, output) = (
        read_lossy(&scratch.join(LOG)),
        read_lossy(&scratch.join(OUTPUT)),
    );
    format!("--- log of virtproxyd ---\n{log}\n--- output of virtproxyd ---\n{output}")
}
