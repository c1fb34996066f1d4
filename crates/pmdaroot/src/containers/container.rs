//! One container, as its engine tells.

use super::cgroups::Cgroups;
use crate::processes;

/// A container of any engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// The engine, as the metric `containers.engine` has it.
    pub(crate) engine: &'static str,
    /// What identifies it; the name of its instance.
    pub(crate) id: String,
    /// What people call it; empty if nothing is known.
    pub(crate) name: String,
    /// Whether the identifier is made up by the engine, so that a part of it will do.
    pub(crate) is_hash: bool,
    /// Its control group, from the root of the hierarchy on: it begins with a slash.
    pub(crate) cgroup: String,
    /// Its first process.
    pub(crate) process: Option<InitProcess>,
    /// Whether it runs, if it is not told by the process.
    pub(crate) running: Running,
    /// Whether it is paused.
    pub(crate) paused: Paused,
    /// Whether its engine is about to start it again.
    pub(crate) restarting: bool,
}

/// The first process in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitProcess {
    /// Its number on the host.
    pub(crate) pid: u32,
    /// When it started, where the engine does not tell of its end; see [`processes::started`].
    pub(crate) started: Option<u64>,
}

impl InitProcess {
    /// One whose end is seen by looking. `None` if there is no such process.
    pub(crate) fn watched(pid: u32) -> Option<InitProcess> {
        let started = processes::started(pid)?;
        Some(InitProcess {
            pid,
            started: Some(started),
        })
    }

    /// One whose end the engine tells.
    pub(crate) fn told(pid: u32) -> InitProcess {
        InitProcess { pid, started: None }
    }

    fn is_there(self) -> bool {
        self.started
            .is_none_or(|started| processes::started(self.pid) == Some(started))
    }
}

/// How it is known whether a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// The engine says so.
    Told(bool),
    /// It does as long as its process is there.
    Process,
}

/// How it is known whether a container is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paused {
    /// The engine says so.
    Told(bool),
    /// It is as long as the control group of its process is frozen.
    Frozen,
}

impl Container {
    /// Its first process, if it has one now.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process
            .filter(|process| process.is_there())
            .map(|process| process.pid)
    }

    /// Whether it runs now.
    pub(crate) fn is_running(&self) -> bool {
        match self.running {
            Running::Told(running) => running,
            Running::Process => self.pid().is_some(),
        }
    }

    /// Whether it is paused now.
    pub(crate) fn is_paused(&self, cgroups: &Cgroups) -> bool {
        match self.paused {
            Paused::Told(paused) => paused,
            Paused::Frozen => self.pid().is_some_and(|pid| cgroups.is_frozen(pid)),
        }
    }
}
