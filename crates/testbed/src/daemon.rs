//! What all daemons of tests have in common: start on a free port, readiness, log, restart.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::eventually::{PATIENCE, eventually_some};
use crate::firewall::Host;
use crate::ports::free_port;
use crate::process::Process;
use crate::scratch::Scratch;

/// How many ports are tried when others take them first.
const PORT_ATTEMPTS: usize = 5;

pub(crate) type MakeCommand = Box<dyn Fn(&Scratch, u16) -> Command + Send + Sync>;

/// How a daemon is started: its folder and its port make the command.
pub(crate) struct Launch {
    /// The daemon's name; it names its files too.
    pub(crate) name: &'static str,
    /// The port if it matters which.
    pub(crate) port: Option<u16>,
    /// Makes the command; the log must go to [`log_path`].
    pub(crate) command: MakeCommand,
    /// Whether the daemon answers on the port.
    pub(crate) answers: fn(u16) -> bool,
    /// The host of the test's own on which it runs, if it is not the machine itself.
    pub(crate) host: Option<Host>,
}

impl Launch {
    fn answers(&self, port: u16) -> bool {
        match &self.host {
            Some(host) => host.enter(|| (self.answers)(port)).unwrap_or(false),
            None => (self.answers)(port),
        }
    }
}

/// Where a daemon called `name` writes its log.
pub(crate) fn log_path(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.join(format!("{name}.log"))
}

/// A daemon that runs in a folder of its own and answers on a port of its own. It is a [`Process`],
/// and ends with it. If the test panics, its log is shown.
pub struct Daemon {
    // Dropped in this order: the folder outlives the process.
    process: Process,
    port: u16,
    launch: Launch,
    scratch: Scratch,
}

impl Daemon {
    /// Starts it in `scratch` and waits until it answers.
    pub(crate) fn start(launch: Launch, scratch: Scratch) -> Result<Daemon> {
        for _ in 0..PORT_ATTEMPTS {
            let port = launch.port.map_or_else(free_port, Ok)?;
            if let Some(process) = attempt(&launch, &scratch, port)? {
                return Ok(Daemon {
                    process,
                    port,
                    launch,
                    scratch,
                });
            }
            if launch.port.is_some() {
                bail!("port {port} is taken\n{}", report(&launch, &scratch));
            }
        }
        bail!(
            "{PORT_ATTEMPTS} free ports in a row were taken before {} had bound them",
            launch.name
        )
    }

    /// Ends it if it still runs, and starts it again on the same port, with a new log.
    ///
    /// # Errors
    /// When it does not end, or does not come up again.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.process.terminate()?;
        }
        self.process.kill();
        let Some(process) = attempt(&self.launch, &self.scratch, self.port)? else {
            let report = report(&self.launch, &self.scratch);
            bail!("port {} was taken during the restart\n{report}", self.port);
        };
        self.process = process;
        Ok(())
    }

    /// The port on which it answers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// All that is in its log.
    pub fn log(&self) -> String {
        read_lossy(&log_path(&self.scratch, self.launch.name))
    }

    /// All that it wrote to standard output and standard error.
    pub fn output(&self) -> String {
        read_lossy(&output_path(&self.scratch, self.launch.name))
    }

    /// Waits until its log has `text` in it.
    ///
    /// # Errors
    /// When it never has; the error shows the log.
    pub fn await_log(&self, text: &str) -> Result<()> {
        crate::eventually(PATIENCE, format!("«{text}» in the log"), || {
            self.log().contains(text)
        })
        .with_context(|| report(&self.launch, &self.scratch))
    }
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Daemon {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", report(&self.launch, &self.scratch));
        }
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on port {} (pid {})",
            self.launch.name,
            self.port,
            self.process.pid()
        )
    }
}

/// A started daemon that answers, or none when another process has the port.
fn attempt(launch: &Launch, scratch: &Scratch, port: u16) -> Result<Option<Process>> {
    let log = log_path(scratch, launch.name);
    if log.exists() {
        fs::remove_file(&log).context("cannot remove the log of an earlier start")?;
    }
    let output = File::create(output_path(scratch, launch.name))
        .with_context(|| format!("cannot make a file for the output of {}", launch.name))?;
    let mut command = (launch.command)(scratch, port);
    if let Some(host) = &launch.host {
        command = host.bring(&command);
    }
    command
        .current_dir(scratch.path())
        .stdin(std::process::Stdio::null());
    command.stdout(output.try_clone()?).stderr(output);
    let mut process = Process::spawn(launch.name, command)?;
    let what = format!("{} to answer on port {port}", launch.name);
    let readiness = eventually_some(PATIENCE, what, || look(launch, scratch, port, &mut process));
    match readiness.with_context(|| report(launch, scratch))? {
        Readiness::Ready => Ok(Some(process)),
        Readiness::PortTaken => Ok(None),
        Readiness::Ended => {
            bail!(
                "{} ended while it was being started\n{}",
                launch.name,
                report(launch, scratch)
            )
        }
    }
}

/// What a look at a daemon that is being started may find.
enum Readiness {
    Ready,
    PortTaken,
    Ended,
}

/// Looks once; finds nothing while the daemon is still busy with its start.
fn look(launch: &Launch, scratch: &Scratch, port: u16, process: &mut Process) -> Option<Readiness> {
    let ended = process.ended().ok().flatten().is_some();
    let log = read_lossy(&log_path(scratch, launch.name));
    if (ended || has_row(&log, "err", port)) && says_in_use(&report(launch, scratch)) {
        return Some(Readiness::PortTaken);
    }
    if ended {
        return Some(Readiness::Ended);
    }
    (has_row(&log, "ok", port) && launch.answers(port)).then_some(Readiness::Ready)
}

/// Whether the table of request ports in a log has a row with this status for this port. Rows look
/// like `  ok     3 44322 inet   INADDR_ANY` or `  err   -1 44322 inet   INADDR_ANY`; both may be
/// there, since a machine without IPv6 has an `err` row for it.
fn has_row(log: &str, status: &str, port: u16) -> bool {
    let port = port.to_string();
    log.lines().any(|row| {
        let mut words = row.split_whitespace();
        words.next() == Some(status) && words.nth(1) == Some(&port)
    })
}

fn says_in_use(report: &str) -> bool {
    report.to_lowercase().contains("address already in use")
}

/// Connects to the port on either loopback address.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    TcpStream::connect(&addresses[..])
}

fn output_path(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.join(format!("{name}.output"))
}

fn read_lossy(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// All that a daemon has said, for messages.
fn report(launch: &Launch, scratch: &Scratch) -> String {
    let name = launch.name;
    let log = read_lossy(&log_path(scratch, name));
    let output = read_lossy(&output_path(scratch, name));
    format!("--- log of {name} ---\n{log}\n--- output of {name} ---\n{output}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_request_ports_tells_whether_a_port_is_open() {
        let log = "pmcd request port(s):\n  sts fd   port  family address\n\
                   \x20 ok     5       unix   /tmp/pmcd.sock\n\
                   \x20 ok     3 24601 inet   INADDR_ANY\n\
                   \x20 err   -1 24601 ipv6   INADDR_ANY\n\
                   \x20 err   -1 24602 inet   INADDR_ANY\n";
        assert!(has_row(log, "ok", 24601) && has_row(log, "err", 24601));
        assert!(!has_row(log, "ok", 24602) && has_row(log, "err", 24602));
        assert!(!has_row(log, "ok", 24603) && !has_row(log, "err", 24603));
    }
}
