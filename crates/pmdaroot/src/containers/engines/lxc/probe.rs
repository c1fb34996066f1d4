//! One run of `lxc-info`, in a thread of its own, with a deadline.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::mailbox::Postman;

/// How long the program may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// How much of its output is read, in bytes.
const MAX_OUTPUT: usize = 64 << 10;

/// The process groups of the programs that run. None is collected while it stands here, so that its
/// number is not that of another.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Ends all programs that run: this process is about to end.
pub(crate) fn end_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for group in running.iter() {
        // At worst it has ended by itself.
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

/// What became of a question for the state of a container.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The container.
    pub(crate) id: String,
    /// Its state, or why there is none.
    pub(crate) outcome: Result<Report, String>,
}

/// The state of a container, as `lxc-info` reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    state: String,
    /// The first process.
    pub(crate) pid: Option<u32>,
}

impl Report {
    /// Reads lines of a name, a colon and a value.
    fn parse(text: &str) -> Option<Report> {
        let value = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
            Some(value.trim())
        };
        Some(Report {
            state: value("State")?.to_owned(),
            pid: value("PID")
                .and_then(|pid| pid.parse().ok())
                .filter(|pid| *pid > 0),
        })
    }

    /// A frozen container runs, too.
    pub(crate) fn is_running(&self) -> bool {
        let running = [
            "RUNNING", "STOPPING", "ABORTING", "FREEZING", "FROZEN", "THAWED",
        ];
        running.contains(&self.state.as_str())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state == "FROZEN"
    }

    pub(crate) fn is_starting(&self) -> bool {
        self.state == "STARTING"
    }
}

/// Starts the program; what becomes of it is sent to `results`.
pub(super) fn start(command: &[String], id: &str, more: &[String], results: Postman<Probe>) {
    let (id, program) = (id.to_owned(), command.first().cloned().unwrap_or_default());
    let mut run = Command::new(&program);
    run.args(command.iter().skip(1))
        .args(["-n", &id])
        .args(more);
    run.env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let failed = results.clone();
    let name = id.clone();
    let thread = std::thread::Builder::new().name("lxc-info".into());
    let started = thread.spawn(move || {
        let outcome = ask(&mut run).map_err(|error| format!("{program}: {error}"));
        results.send(Probe { id, outcome });
    });
    if let Err(error) = started {
        let outcome = Err(format!("no thread to ask in: {error}"));
        failed.send(Probe { id: name, outcome });
    }
}

fn ask(command: &mut Command) -> io::Result<Report> {
    let deadline = Instant::now() + DEADLINE;
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = command.spawn()?;
    running.extend(pid_of(&child));
    drop(running);
    let output = child.stdout.take();
    let text = output.map_or(Ok(String::new()), |output| read(&output, deadline));
    let ended = text.and_then(|text| await_end(&child, deadline).map(|()| text));
    if ended.is_err()
        && let Some(group) = pid_of(&child)
    {
        // The program may have started others; at worst all have ended by now.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.retain(|group| Some(*group) != pid_of(&child));
    drop(running);
    let status = child.wait()?;
    let text = ended?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    Report::parse(&text).ok_or_else(|| io::Error::other("it did not tell the state"))
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Reads until the end.
fn read(output: &ChildStdout, deadline: Instant) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        await_readable(output, deadline)?;
        match rustix::io::read(output, &mut piece)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            count => bytes.extend(piece.iter().take(count)),
        }
        if bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other("it says too much"));
        }
    }
}

/// A program may close its output and not end.
fn await_end(child: &Child, deadline: Instant) -> io::Result<()> {
    match pid_of(child) {
        Some(pid) => await_readable(pidfd_open(pid, PidfdFlags::empty())?, deadline),
        None => Ok(()),
    }
}

fn await_readable(descriptor: impl std::os::fd::AsFd, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = format!("it has not answered within {} s", DEADLINE.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut wanted = [PollFd::new(&descriptor, PollFlags::IN)];
        match poll(&mut wanted, Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> io::Result<Report> {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdout(Stdio::piped())
            .process_group(0);
        ask(&mut command)
    }

    #[test]
    fn the_words_of_the_program_are_understood() {
        let text = "Name:           my vm\nState:          RUNNING\nPID:            17297\n";
        let report = Report::parse(text).unwrap();
        assert_eq!(report.pid, Some(17297));
        assert!(report.is_running() && !report.is_paused() && !report.is_starting());
        let frozen = Report::parse("State: FROZEN\nPID: 5\n").unwrap();
        assert!(frozen.is_running() && frozen.is_paused());
        let stopped = Report::parse("State:          STOPPED\n").unwrap();
        assert!(!stopped.is_running() && !stopped.is_paused() && stopped.pid.is_none());
        assert_eq!(Report::parse("nothing\n"), None);
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let error = run("sleep 1000 & echo State: RUNNING; wait").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = run("exec >&-; sleep 1000").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_program_that_fails_or_talks_nonsense_is_an_error() {
        assert!(run("echo State: RUNNING; exit 1").is_err());
        assert!(run("echo hello").is_err());
        assert!(run("yes").is_err());
        assert!(run("echo State: STOPPED").is_ok());
    }
}
