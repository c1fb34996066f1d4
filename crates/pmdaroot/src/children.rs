//! The processes that were started here: how they ended, and who may end them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use pcp_proto::root::Stopped;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};

use crate::log;
use crate::processes;

/// How many exit statuses are kept for clients that have not asked yet.
const MAX_KEPT: usize = 4096;

/// All processes that were started here.
#[derive(Debug)]
pub(crate) struct Children {
    running: HashMap<u32, Running>,
    ended: VecDeque<Ended>,
    /// The pmcd that started this process.
    pmcd: Option<u32>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    label: String,
    client: Option<u64>,
}

#[derive(Debug)]
struct Ended {
    pid: u32,
    code: i32,
    /// Who is to be told; everybody if it has gone.
    client: Option<u64>,
}

impl Children {
    pub(crate) fn new() -> Children {
        let parent = getppid().and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
        Children {
            running: HashMap::new(),
            ended: VecDeque::new(),
            pmcd: parent.filter(|parent| is_pmcd(*parent)),
        }
    }

    /// Has a new process, which a client wanted.
    pub(crate) fn add(&mut self, child: Child, label: String, client: Option<u64>) {
        let running = Running {
            child,
            label,
            client,
        };
        self.running.insert(running.child.id(), running);
    }

    /// Nobody else will ask for what this client started.
    pub(crate) fn forget_client(&mut self, client: u64) {
        let running = self.running.values_mut().map(|one| &mut one.client);
        let ended = self.ended.iter_mut().map(|one| &mut one.client);
        for owner in running.chain(ended).filter(|owner| **owner == Some(client)) {
            *owner = None;
        }
    }

    /// Collects the processes that have ended.
    pub(crate) fn reap(&mut self) {
        let ended = &mut self.ended;
        self.running
            .retain(|&pid, running| match running.child.try_wait() {
                Ok(None) => true,
                Ok(Some(status)) => {
                    log::info!("{} (pid {pid}) has ended: {status}", running.label);
                    ended.push_back(Ended {
                        pid,
                        code: status.into_raw(),
                        client: running.client,
                    });
                    false
                }
                Err(error) => {
                    log::error!("{} (pid {pid}) is lost: {error}", running.label);
                    false
                }
            });
        let excess = self.ended.len().saturating_sub(MAX_KEPT);
        self.ended.drain(..excess);
    }

    /// Tells a client of one of its processes that has ended, once.
    pub(crate) fn wait_any(&mut self, client: u64) -> Stopped {
        self.reap();
        // What belongs to nobody any more is told to whoever asks, after what belongs to them.
        let place = |owner| self.ended.iter().position(|one| one.client == owner);
        let told = place(Some(client)).or_else(|| place(None));
        if let Some(ended) = told.and_then(|at| self.ended.remove(at)) {
            return Stopped {
                pid: ended.pid.cast_signed(),
                code: ended.code,
            };
        }
        let any = self.running.values().any(|one| one.client == Some(client));
        Stopped {
            pid: if any { 0 } else { -1 },
            code: 0,
        }
    }

    /// Sends a signal to a process that was started here, or by pmcd as its agent.
    pub(crate) fn end(&mut self, pid: i32, signal: Signal) -> io::Result<()> {
        let number = u32::try_from(pid).map_err(|_| Errno::INVAL)?;
        let pid = Pid::from_raw(pid).ok_or(Errno::INVAL)?;
        self.reap();
        if self.ended.iter().any(|one| one.pid == number) {
            return Ok(());
        }
        // From here on the number cannot become that of another process unnoticed.
        // Whether there is such a process is nobody's business, if it is none of these.
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| Errno::PERM)?;
        if !self.running.contains_key(&number) && !self.is_agent_of_pmcd(number) {
            return Err(Errno::PERM.into());
        }
        // The socket goes only when this process is asked.
        let is_this = number == std::process::id();
        let signal = if is_this { Signal::TERM } else { signal };
        Ok(pidfd_send_signal(process, signal)?)
    }

    fn is_agent_of_pmcd(&self, pid: u32) -> bool {
        self.pmcd.is_some() && processes::parent(pid) == self.pmcd
    }
}

/// The parent is the pmcd. Only the first process of all must prove it by its name, because that one
/// gets the children of others.
fn is_pmcd(parent: u32) -> bool {
    parent > 1 || std::fs::read("/proc/1/comm").is_ok_and(|name| name == b"pmcd\n")
}
