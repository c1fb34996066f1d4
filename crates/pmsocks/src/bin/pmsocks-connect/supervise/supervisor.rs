//! The supervisor's process: it starts the program's, answers for its connections, and waits for all that
//! the program leaves behind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use pmsocks_common::Program;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Resource, Rlimit, WaitOptions, getpid, getrlimit, set_child_subreaper, setrlimit, setsid, wait,
};

use super::connections::Connections;
use super::link::{self, End, Link, Report};
use super::{child, ffi, front};
use crate::configuration::Configuration;

/// Starts the program's process, with these signals blocked, and supervises it, and its children, until
/// the last has ended. The exit status is that of this process, in which nobody is interested.
pub(super) fn run(
    front: Link,
    program: &Program,
    blocked: SigSet,
    configuration: Configuration,
) -> u8 {
    match Supervisor::start(front, program, blocked, configuration) {
        Ok(Start::Supervisor(supervisor)) => supervisor.supervise(),
        Ok(Start::Child(status)) => return status,
        Err(error) => pmsocks_common::complain(&format!("cannot supervise the program: {error}\n")),
    }
    0
}

/// How long what ended programs have written is carried, at most.
const LINGER: Duration = Duration::from_secs(10);

struct Supervisor {
    /// `None` once the program has ended, or the front.
    front: Option<Link>,
    signals: SignalFd,
    /// `None` where the filter could not be installed.
    connections: Option<Connections>,
    /// Whether anybody is left whose calls the kernel asks about.
    is_asked: bool,
    /// The program's process, until it has ended.
    program: Option<Pid>,
    is_stopped: bool,
    /// Whether it was reported that the program connects.
    has_connected: bool,
}

/// On which side of fork(2) this is.
enum Start {
    Supervisor(Box<Supervisor>),
    /// The program could not be executed.
    Child(u8),
}

/// What has happened.
struct Events {
    signalled: bool,
    front: bool,
    called: PollFlags,
    dials: Vec<PollFlags>,
}

impl Supervisor {
    fn start(
        front: Link,
        program: &Program,
        blocked: SigSet,
        configuration: Configuration,
    ) -> io::Result<Start> {
        // Orphans of the program stay descendants.
        set_child_subreaper(Some(getpid()))?;
        let (link, childs) = link::pair()?;
        let own = Pid::this();
        let Some(process) = ffi::fork()? else {
            drop((front, link));
            let status = child::become_program(&childs, own, program, blocked);
            return Ok(Start::Child(status));
        };
        drop(childs);
        // From here on nothing is inherited by the program. It may have had this signal ignored.
        ffi::set_default(Signal::SIGCHLD as i32);
        let mut set = SigSet::all();
        set.thread_block()?;
        set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&set, flags)?;
        // What a terminal sends is not for this process.
        setsid()?;
        let listener = link.take_over()?;
        let kept = [
            Some(front.as_fd()),
            Some(signals.as_fd()),
            Some(link.as_fd()),
        ];
        let listening = listener.as_ref().map(AsFd::as_fd);
        let kept: Vec<BorrowedFd<'_>> = kept.into_iter().chain([listening]).flatten().collect();
        front::let_go(&kept, false, configuration.settings.debug);
        let descriptors = raise_limit();
        link.release();
        Ok(Start::Supervisor(Box::new(Supervisor {
            front: Some(front),
            signals,
            connections: listener
                .map(|listener: OwnedFd| Connections::new(listener, configuration, descriptors)),
            is_asked: true,
            program: Some(process),
            is_stopped: false,
            has_connected: false,
        })))
    }

    fn supervise(mut self) {
        while self.wait_for_children() {
            if let Err(errno) = self.go_on(None) {
                // The program ends with this process, rather than wait for answers for ever.
                return pmsocks_common::complain(&format!(
                    "the supervisor cannot go on: {errno}\n"
                ));
            }
        }
        // What programs have written that have ended: they could not have waited for it.
        self.is_asked = false;
        let until = Instant::now() + LINGER;
        while self.is_carrying() && Instant::now() < until && self.go_on(Some(until)).is_ok() {}
    }

    fn is_carrying(&self) -> bool {
        let connections = self.connections.as_ref();
        connections.is_some_and(Connections::is_carrying)
    }

    /// Waits until something happens, at most until then, and does what is to be done about it.
    fn go_on(&mut self, until: Option<Instant>) -> Result<(), Errno> {
        let events = match self.wait(until) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        if events.signalled {
            while let Ok(Some(_)) = self.signals.read_signal() {}
        }
        if events.front {
            self.obey();
        }
        self.connect(&events);
        Ok(())
    }

    /// Waits for the next event, or until a connection has no more time.
    fn wait(&self, until: Option<Instant>) -> Result<Events, Errno> {
        let connections = self.connections.as_ref();
        let deadline = connections.and_then(Connections::next_deadline);
        let until = [until, deadline].into_iter().flatten().min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let front = self.front.as_ref().map(AsFd::as_fd);
        let listener = connections.filter(|_| self.is_asked);
        let listener = listener.map(Connections::listener);
        // The places of those that are not there are taken by one that has no events then.
        let signals = self.signals.as_fd();
        let mut polled = vec![
            PollFd::from_borrowed_fd(signals, PollFlags::IN),
            entry(front, signals),
            entry(listener, signals),
        ];
        if let Some(connections) = connections {
            polled.extend(connections.awaited(signals));
        }
        poll(&mut polled, left.as_ref())?;
        let happened = |entry: &PollFd<'_>| !entry.revents().is_empty();
        Ok(Events {
            signalled: happened(&polled[0]),
            front: front.is_some() && happened(&polled[1]),
            called: listener.map_or(PollFlags::empty(), |_| polled[2].revents()),
            dials: polled[3..].iter().map(PollFd::revents).collect(),
        })
    }

    /// Does what the front wants. When it was killed, so is the program.
    fn obey(&mut self) {
        let order = self.front.as_ref().and_then(Link::next_signal);
        if order.is_none() {
            self.front = None;
        }
        let signal = order.map_or(Signal::SIGKILL as i32, i32::from);
        // To go on is for who has stopped: a shell has told the program already.
        let needless = signal == Signal::SIGCONT as i32 && !self.is_stopped;
        if let Some(program) = self.program.filter(|_| !needless) {
            ffi::send(program, signal);
        }
    }

    fn connect(&mut self, events: &Events) {
        let Some(connections) = &mut self.connections else {
            return;
        };
        connections.drive(&events.dials);
        if events.called.contains(PollFlags::IN) {
            connections.answer_next();
            if !self.has_connected && connections.has_begun() {
                self.has_connected = true;
                self.report(Report::Connecting);
            }
        } else if !events.called.is_empty() {
            self.is_asked = false;
        }
    }

    /// Takes note of all that happened to children; `false`: none is left. Those are all descendants,
    /// since orphans become children.
    fn wait_for_children(&mut self) -> bool {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
        let mut ended = None;
        let any_left = loop {
            match wait(options) {
                Ok(Some((pid, status))) if self.is_program(pid) => {
                    if status.stopped() {
                        self.is_stopped = true;
                        self.report(Report::Stopped);
                    } else if status.continued() {
                        self.is_stopped = false;
                    } else {
                        self.program = None;
                        ended = Some(end(status));
                    }
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if let Some(end) = ended {
            self.report(Report::Ended {
                end,
                others_left: any_left || self.is_carrying(),
            });
            self.front = None;
        }
        any_left
    }

    fn is_program(&self, pid: rustix::process::Pid) -> bool {
        self.program.map(Pid::as_raw) == Some(pid.as_raw_nonzero().get())
    }

    fn report(&self, report: Report) {
        if let Some(front) = &self.front {
            front.report(report);
        }
    }
}

fn entry<'a>(wanted: Option<BorrowedFd<'a>>, otherwise: BorrowedFd<'a>) -> PollFd<'a> {
    match wanted {
        Some(descriptor) => PollFd::from_borrowed_fd(descriptor, PollFlags::IN),
        None => PollFd::from_borrowed_fd(otherwise, PollFlags::empty()),
    }
}

fn end(status: rustix::process::WaitStatus) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => End::Exited(byte(status)),
        (None, signal) => End::Killed(byte(signal.unwrap_or_default())),
    }
}

/// Every connection in the making has descriptors here. How many there may be.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
