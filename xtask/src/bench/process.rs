//! The processes that the bench starts: ended when they go out of scope, also on an error, and
//! awaited in a way that Ctrl-C cuts short.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::figures::Sample;
use crate::interrupt::Interrupt;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(10);

/// How long a load generator may take beside what it measures.
const SLACK: Duration = Duration::from_secs(60);

/// How often a process is looked at that is waited for; rarely, not to disturb what is measured.
const LOOK: Duration = Duration::from_millis(20);

/// A process that is killed and awaited when this is dropped.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Running> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Running(child))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it accepts connections, which `ready` tries.
    pub(super) fn await_ready(
        &mut self,
        ready: impl Fn() -> bool,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let start = Instant::now();
        while !ready() {
            interrupt.check()?;
            if let Some(status) = self.0.try_wait().context("cannot wait for it")? {
                bail!("it ended ({status}) before it listened");
            }
            ensure!(start.elapsed() < START, "it did not listen in time");
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither fails but for a process that has ended and been awaited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A stub server in a process of its own; it also ends by itself when the bench is gone.
pub(super) struct Stub {
    _process: Running,
    /// The line that says that it serves, and where.
    pub(super) line: String,
}

impl Stub {
    /// Starts the hidden word `stub-server` of the bench of `program`.
    pub(super) fn start(program: &str, args: &[String]) -> Result<Stub> {
        let mut command = own_subcommand(program, "stub-server")?;
        command.args(args);
        let mut process = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdout = process
            .0
            .stdout
            .take()
            .context("the stub server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("cannot read what the stub server prints")?;
        ensure!(line.ends_with('\n'), "the stub server did not start");
        Ok(Stub {
            _process: process,
            line: line.trim().to_owned(),
        })
    }
}

/// Ends this process, a stub server, once its standard input ends: whatever ended it, the bench is
/// gone.
pub(super) fn end_with_the_bench() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}

/// Runs the load generator of the bench of `program` to its end and gives its sample. It measures
/// for `length`.
pub(super) fn generate(
    program: &str,
    args: &[String],
    length: Duration,
    interrupt: &Interrupt,
) -> Result<Sample> {
    let mut command = own_subcommand(program, "load-generator")?;
    command.args(args).stdin(Stdio::null());
    let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let deadline = Instant::now() + length + SLACK;
    let status = loop {
        if let Some(status) = process
            .0
            .try_wait()
            .context("cannot await the load generator")?
        {
            break status;
        }
        interrupt.check()?;
        ensure!(
            Instant::now() < deadline,
            "the load generator did not end in time"
        );
        thread::sleep(LOOK);
    };
    // The signal may have ended the load generator first.
    interrupt.check()?;
    let said = read(process.0.stdout.take())?;
    if !status.success() {
        let why = read(process.0.stderr.take())?;
        bail!("{}", why.trim().trim_start_matches("xtask: "));
    }
    said.parse()
        .with_context(|| format!("the load generator printed {said:?}"))
}

fn read(pipe: Option<impl Read>) -> Result<String> {
    let mut text = String::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_string(&mut text)
            .context("cannot read what the load generator printed")?;
    }
    Ok(text)
}

/// This program again, with one of the hidden words of the bench of `program`.
pub(super) fn own_subcommand(program: &str, word: &str) -> Result<Command> {
    let this = std::env::current_exe().context("cannot find the running program")?;
    let mut command = Command::new(this);
    command.args(["bench", program, word]);
    Ok(command)
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    listener.local_addr().context("cannot learn the free port")
}
