//! Processes that pmdaroot starts, waits for and ends.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pcp_proto::root::{Answer, Arguments, Label, PduType, Request, StartRequest, StopRequest};
use rustix::process::{Pid, test_kill_process};

use crate::channel::other_answer;
use crate::{Channel, Error, IpcType};

/// How many ends of processes are kept for later; the oldest is forgotten then.
const MAX_KEPT: usize = 1024;

/// Pauses between two questions whether a process has ended.
const PACE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(100);

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// Its number.
    pub pid: i32,
    /// Its pipes, if it was asked for some; they are close-on-exec.
    pub pipes: Option<StartedPipes>,
}

/// The other ends of a process's pipes.
#[derive(Debug)]
pub struct StartedPipes {
    /// What is written here is its standard input.
    pub input: OwnedFd,
    /// Its standard output is read here.
    pub output: OwnedFd,
}

/// A process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub pid: i32,
    /// How it ended, as waitpid(2) tells.
    pub code: i32,
}

impl Ended {
    /// How it ended.
    pub fn status(&self) -> ExitStatus {
        ExitStatus::from_raw(self.code)
    }
}

/// What there is to tell of processes that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyEnded {
    /// One has.
    One(Ended),
    /// There are processes, and all of them run.
    NoneYet,
    /// There are no processes.
    NoProcesses,
}

/// Ends of processes that came while another was waited for.
#[derive(Clone, Debug, Default)]
pub struct EndedProcesses(VecDeque<Ended>);

impl EndedProcesses {
    fn keep(&mut self, ended: Ended) {
        if self.0.len() >= MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(ended);
    }

    fn take(&mut self, pid: i32) -> Option<Ended> {
        let place = self.0.iter().position(|ended| ended.pid == pid)?;
        self.0.remove(place)
    }

    /// Whether none are kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps those of `later` behind these.
    pub fn append(&mut self, later: EndedProcesses) {
        later.0.into_iter().for_each(|ended| self.keep(ended));
    }
}

impl Channel<'_> {
    /// Starts a process: a program and its arguments in one text, as in `pmcd.conf`. Messages call it
    /// `label`, which has at most 63 bytes.
    ///
    /// # Errors
    /// [`Error::Failed`] when it cannot be started, and others. A program that does not exist is
    /// found out by some servers only later: the process ends at once.
    pub fn start(self, ipc: IpcType, label: &OsStr, arguments: &OsStr) -> Result<Started, Error> {
        let text = |what| move |source| Error::Text { what, source };
        let request = Request::Start(StartRequest {
            ipc,
            label: Label::new(label.as_bytes()).map_err(text("label"))?,
            arguments: Arguments::new(arguments.as_bytes()).map_err(text("arguments"))?,
        });
        self.ask(&request, |answer, descriptors| {
            let Answer::Start(started) = answer else {
                return Err(other_answer(PduType::Start, &answer));
            };
            let pid = started.pid.map_err(Error::Failed)?;
            let pipes = pipes(ipc, descriptors)?;
            Ok(Started { pid, pipes })
        })
    }

    /// Asks for one that has ended, without waiting for it. Those in `kept` come first.
    ///
    /// # Errors
    /// Any [`Error`] about answers.
    pub fn ended(self, kept: &mut EndedProcesses) -> Result<AnyEnded, Error> {
        match kept.0.pop_front() {
            Some(ended) => Ok(AnyEnded::One(ended)),
            None => self.ask_for_ended(),
        }
    }

    fn ask_for_ended(self) -> Result<AnyEnded, Error> {
        let request = Request::Stop(StopRequest::WaitAny);
        self.ask(&request, |answer, _| match answer {
            Answer::Stop(Ok(stopped)) => Ok(match stopped.pid {
                0 => AnyEnded::NoneYet,
                pid @ 1.. => AnyEnded::One(Ended {
                    pid,
                    code: stopped.code,
                }),
                _ => AnyEnded::NoProcesses,
            }),
            Answer::Stop(Err(failure)) => Err(Error::Failed(failure)),
            other => Err(other_answer(PduType::Stop, &other)),
        })
    }

    /// Waits until a process has ended, or until `within` has gone by: then it is `None`. What comes
    /// meanwhile about others goes to `kept`.
    ///
    /// The protocol has no question for one process: what PCP's own library sends ends the process.
    /// So this asks again and again for any.
    ///
    /// # Errors
    /// [`Error::NoChild`] when the server will not tell of it any more, and others. That is how it
    /// mostly ends with PCP 6.0's pmdaroot, which forgets how its processes have ended.
    pub fn wait(
        self,
        pid: i32,
        within: Option<Duration>,
        kept: &mut EndedProcesses,
    ) -> Result<Option<Ended>, Error> {
        let number = Some(pid).filter(|&pid| pid > 0).and_then(Pid::from_raw);
        let number = number.ok_or(Error::Pid(pid))?;
        if let Some(ended) = kept.take(pid) {
            return Ok(Some(ended));
        }
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        let mut pause = *PACE.start();
        loop {
            // Before the question: if it was gone then, the answer must be about it.
            let gone = test_kill_process(number) == Err(rustix::io::Errno::SRCH);
            match self.ask_for_ended()? {
                AnyEnded::One(ended) if ended.pid == pid => return Ok(Some(ended)),
                AnyEnded::One(other) => {
                    kept.keep(other);
                    continue;
                }
                AnyEnded::NoneYet if !gone => {}
                AnyEnded::NoneYet | AnyEnded::NoProcesses => return Err(Error::NoChild(pid)),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            sleep(pause);
            pause = (pause * 2).min(*PACE.end());
        }
    }

    /// Asks a process to end (SIGTERM).
    ///
    /// # Errors
    /// [`Error::Failed`] when it may not be ended, [`Error::Pid`] for what is no process, and others.
    pub fn terminate(self, pid: i32) -> Result<(), Error> {
        if pid < 1 {
            return Err(Error::Pid(pid));
        }
        self.stop(StopRequest::Terminate(pid))
    }

    /// Ends a process (SIGKILL).
    ///
    /// # Errors
    /// Those of [`Channel::terminate`].
    pub fn kill(self, pid: i32) -> Result<(), Error> {
        if pid < 1 {
            return Err(Error::Pid(pid));
        }
        self.stop(StopRequest::Kill(pid))
    }

    fn stop(self, stop: StopRequest) -> Result<(), Error> {
        self.ask(&Request::Stop(stop), |answer, _| match answer {
            Answer::Stop(outcome) => outcome.map(drop).map_err(Error::Failed),
            other => Err(other_answer(PduType::Stop, &other)),
        })
    }
}

fn pipes(ipc: IpcType, descriptors: Vec<OwnedFd>) -> Result<Option<StartedPipes>, Error> {
    let found = descriptors.len();
    let mut descriptors = descriptors.into_iter();
    match (ipc, descriptors.next(), descriptors.next(), found) {
        (IpcType::Pipe, Some(input), Some(output), 2) => Ok(Some(StartedPipes { input, output })),
        (IpcType::Socket, _, _, 0) => Ok(None),
        _ => Err(Error::Descriptors {
            expected: if ipc == IpcType::Pipe { 2 } else { 0 },
            found,
        }),
    }
}
