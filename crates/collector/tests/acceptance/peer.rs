//! Starts the collector and asks it with real clients.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};
use testbed::{Client, Process, clean_command, packages};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_collector");

/// All metrics that it serves.
pub(crate) const METRICS: [&str; 12] = [
    "kernel.all.load",
    "kernel.all.uptime",
    "hinv.ncpu",
    "mem.physmem",
    "mem.util.used",
    "mem.util.free",
    "network.interface.in.bytes",
    "network.interface.out.bytes",
    "disk.dev.read",
    "disk.dev.write",
    "pmcd.version",
    "pmcd.hostname",
];

/// A collector on a free port, under the name `alpha`. It ends when this is dropped.
pub(crate) struct Collector {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Collector {
    pub(crate) fn start() -> Result<Collector> {
        let mut command = clean_command(PROGRAM);
        command.args(["-p", "0", "-H", "alpha"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn("collector", command)?;
        let port = announced_port(&mut process)?;
        Ok(Collector { process, port })
    }

    /// Runs a real client against it, and gives what the client printed.
    pub(crate) fn ask(&self, client: &str, args: &[&str]) -> Result<String> {
        self.client(client, args)?.run()?.succeeded()
    }

    /// A real client that will ask it.
    pub(crate) fn client(&self, client: &str, args: &[&str]) -> Result<Client> {
        packages::require("pcp")?;
        let host = format!("127.0.0.1:{}", self.port);
        // Clients in Python need Debian's interpreter, whichever one comes first in PATH.
        let client = Client::new(client).env("PCP_PYTHON_PROG", "/usr/bin/python3");
        Ok(client.args(["-h", &host]).args(args))
    }
}

/// The port in the line that the collector prints when it is ready.
pub(crate) fn announced_port(process: &mut Process) -> Result<u16> {
    let stdout = process.child().stdout.take().context("no pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.strip_prefix("collector: listening on ");
    let port = address.and_then(|address| address.trim().rsplit_once(':')?.1.parse().ok());
    port.with_context(|| format!("the collector said {line:?}"))
}
