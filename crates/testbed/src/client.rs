//! Real clients, run to their end or in the background, always with a deadline.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::eventually::PATIENCE;
use crate::process::{Process, clean_command};

/// A client program that is to be run.
#[derive(Clone, Debug)]
pub struct Client {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    within: Duration,
}

impl Client {
    /// A program by name or path.
    pub fn new(program: impl AsRef<OsStr>) -> Client {
        Client {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            within: PATIENCE,
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Client {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable. Of PCP's variables it gets only those that are set here.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Client {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// How long it may run; [`PATIENCE`] unless this is called.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Client {
        self.within = within;
        self
    }

    /// Runs it to its end, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be run, or still runs at its deadline (it is then killed, and the error shows
    /// what it had printed).
    pub fn run(&self) -> Result<Finished> {
        self.start()?.finish()
    }

    /// Starts it in the background.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(&self) -> Result<Running> {
        let mut command = clean_command(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(self.to_string(), command)?;
        let child = process.child();
        let stdout = Collector::start(child.stdout.take())?;
        let stderr = Collector::start(child.stderr.take())?;
        Ok(Running {
            process,
            within: self.within,
            stdout,
            stderr,
        })
    }
}

/// The command line, as it would be typed.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{}={} ", name.display(), value.display())?;
        }
        write!(f, "{}", self.program.display())?;
        self.args
            .iter()
            .try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}

/// A client that runs in the background; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    process: Process,
    within: Duration,
    stdout: Collector,
    stderr: Collector,
}

impl Running {
    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Its process, to be paused or signalled.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs at its deadline; it is then killed, and the error shows what it printed.
    pub fn finish(mut self) -> Result<Finished> {
        let Ok(status) = self.process.wait(self.within) else {
            self.process.kill();
            bail!(
                "`{}` still ran after {} s and was killed\nstdout: {}\nstderr: {}",
                self.process.name(),
                self.within.as_secs_f32(),
                self.stdout.finish(),
                self.stderr.finish()
            );
        };
        // Whatever it left running would keep the pipes open.
        self.process.kill();
        Ok(Finished {
            command: self.process.name().to_owned(),
            status,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        })
    }

    /// Asks it to end (SIGTERM), as for a logger that would run for ever.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn terminate(mut self) -> Result<Finished> {
        self.process.terminate()?;
        self.finish()
    }
}

/// A client that has ended. Its [`Display`](fmt::Display) tells all about it, for messages.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// What it wrote to standard output.
    ///
    /// # Errors
    /// When it did not exit with 0; the error tells all about it.
    pub fn succeeded(self) -> Result<String> {
        if self.status.success() {
            Ok(self.stdout)
        } else {
            bail!("{self}")
        }
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finished {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "`{command}` ended with {status}\nstdout: {stdout}\nstderr: {stderr}"
        )
    }
}

/// Reads a pipe to its end in a thread, so that the writer never waits.
#[derive(Debug)]
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collector {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Result<Collector> {
        let mut pipe = pipe.context("the client has no pipe to read its output from")?;
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(len @ 1..) = pipe.read(&mut piece) {
                let mut bytes = sink.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&piece[..len]);
            }
        });
        Ok(Collector {
            bytes,
            reader: Some(reader),
        })
    }

    fn so_far(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            // The thread only reads and stores: there is nothing in it that could panic.
            let _ = reader.join();
        }
        self.so_far()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;

    #[test]
    fn output_and_status_come_back() {
        let script = "echo out $HOUSE; echo err >&2; exit 3";
        let ended = Client::new("sh")
            .args(["-c", script])
            .env("HOUSE", "gate")
            .run()
            .unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((&*ended.stdout, &*ended.stderr), ("out gate\n", "err\n"));
        let error = ended.succeeded().unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("out gate"),
            "{error}"
        );
    }

    #[test]
    fn a_client_that_hangs_is_killed_and_shown() {
        let client = Client::new("sh").args(["-c", "echo partial; sleep 1000"]);
        let running = client.within(Duration::from_millis(300)).start().unwrap();
        eventually(PATIENCE, "output", || running.stdout() == "partial\n").unwrap();
        let error = running.finish().unwrap_err().to_string();
        assert!(error.contains("still ran after 0.3 s"), "{error}");
        assert!(error.contains("partial"), "{error}");
    }

    #[test]
    fn a_running_client_can_be_watched_and_ended() {
        let running = Client::new("sh")
            .args(["-c", "echo ready; sleep 1000"])
            .start()
            .unwrap();
        eventually(PATIENCE, "ready", || running.stdout() == "ready\n").unwrap();
        assert!(!running.terminate().unwrap().status.success());
    }
}
