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
        let pid = running.child.id();
        // The number is used again: nobody may take the old end for that of the new process.
        self.ended
            .retain(|one| one.pid != pid || (one.client.is_some() && one.client != client));
        self.running.insert(pid, running);
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
        if number == std::process::id() {
            // pmcd is its parent, too, and ends it by closing its pipe.
            return Err(Errno::PERM.into());
        }
        self.reap();
        let has_ended = self.ended.iter().any(|one| one.pid == number);
        // From here on the number cannot become that of another process unnoticed.
        // Whether there is such a process is nobody's business, if it is none of these.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) if self.running.contains_key(&number) || self.is_agent_of_pmcd(number) => {
                Ok(pidfd_send_signal(process, signal)?)
            }
            _ if has_ended => Ok(()),
            _ => Err(Errno::PERM.into()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A process that waits, and what is left of an earlier one with its number.
    fn used_again(owner: Option<u64>) -> (Children, u32) {
        let mut command = Command::new("cat");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let pid = child.id();
        let mut children = Children::new();
        children.ended.push_back(Ended {
            pid,
            code: 0,
            client: owner,
        });
        children.add(child, "agent".into(), Some(1));
        (children, pid)
    }

    #[test]
    fn the_end_of_an_earlier_process_is_not_that_of_one_with_its_number() {
        for owner in [None, Some(1), Some(2)] {
            let (mut children, pid) = used_again(owner);
            let told = children.wait_any(1);
            assert_eq!((told.pid, told.code), (0, 0), "{owner:?}");
            children.end(pid.cast_signed(), Signal::KILL).unwrap();
            let status = children.running.get_mut(&pid).unwrap().child.wait();
            assert_eq!(status.unwrap().signal(), Some(9), "{owner:?}");
        }
    }

    #[test]
    fn it_does_not_end_itself() {
        let mut children = Children::new();
        let own = std::process::id().cast_signed();
        let refused = children.end(own, Signal::TERM).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::PERM.raw_os_error()));
    }
}
