//! LXC: a folder for each container, and `lxc-info` for its state. The program runs in the
//! background: nobody but those who ask for its container waits for it, and they not for long.

mod probe;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{ROOT, Surroundings};
use crate::containers::cgroups::{Cgroups, folders};
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::log;
use crate::mailbox::Postman;
pub(crate) use probe::{Probe, Report, end_all};

/// How many programs run at the same time.
const MAX_RUNNING: usize = 8;

/// How long questions wait for a program that runs.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old the states of all containers may be when somebody asks for them.
const FRESH: Duration = Duration::from_millis(100);

/// When a container whose state could not be had is tried again.
const REST: Duration = Duration::from_secs(30);

/// All containers of LXC.
#[derive(Debug)]
pub(crate) struct Lxc {
    folder: PathBuf,
    /// The program, its options, and what comes behind the name of the container.
    command: Vec<String>,
    more: Vec<String>,
    known: Vec<Known>,
    results: Postman<Probe>,
    running: usize,
}

#[derive(Debug)]
struct Known {
    id: String,
    state: State,
    container: Option<Container>,
}

/// How far the question for a container's state has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its turn has not come; somebody waits since then.
    Queued(Instant),
    /// The program runs since then.
    Asked(Instant),
    /// The state is from then.
    Told(Instant),
    /// Then it could not be had.
    Failed(Instant),
}

impl Lxc {
    /// `folder` has the containers (`PCP_LXC_DIR`). `command` asks for the state of one, when `-n`
    /// and its name are added.
    pub(crate) fn new(
        folder: PathBuf,
        command: Vec<String>,
        more: Vec<String>,
        results: Postman<Probe>,
    ) -> Lxc {
        Lxc {
            folder,
            command,
            more,
            known: Vec::new(),
            results,
            running: 0,
        }
    }

    /// Looks which containers there are.
    pub(crate) fn refresh(&mut self, surroundings: &mut Surroundings<'_>, now: Instant) {
        surroundings.watch(ROOT, &self.folder, &[]);
        let found = folders(&self.folder);
        self.known.retain(|known| found.contains(&known.id));
        for id in found {
            if self.known.iter().all(|known| known.id != id) {
                self.known.push(Known {
                    id,
                    state: State::Queued(now),
                    container: None,
                });
            }
        }
        self.start_queued(now);
    }

    /// Somebody wants to know the state of all containers.
    pub(crate) fn want_all(&mut self, now: Instant) {
        let since = now.checked_sub(FRESH).unwrap_or(now);
        self.known
            .iter_mut()
            .for_each(|known| known.want(since, now));
        self.start_queued(now);
    }

    /// Somebody has asked, then, for the process of one. One that runs needs no program.
    pub(crate) fn want(&mut self, id: &str, asked: Instant, now: Instant) {
        let wanted = self.known.iter_mut().find(|known| known.id == id);
        if let Some(known) = wanted
            && known
                .container
                .as_ref()
                .is_none_or(|one| one.pid().is_none())
        {
            known.want(asked, now);
            self.start_queued(now);
        }
    }

    /// Until when questions should wait for the state of a container, or of any.
    pub(crate) fn settles_at(&self, id: Option<&str>, now: Instant) -> Option<Instant> {
        let concerned = self
            .known
            .iter()
            .filter(|known| id.is_none_or(|id| known.id == id));
        concerned
            .filter_map(|known| match known.state {
                State::Queued(since) | State::Asked(since) => Some(since + PATIENCE),
                State::Told(_) | State::Failed(_) => None,
            })
            .filter(|until| *until > now)
            .max()
    }

    /// Takes what a program has said.
    pub(crate) fn deliver(&mut self, probe: Probe, cgroups: &Cgroups, now: Instant) {
        self.running = self.running.saturating_sub(1);
        if let Some(known) = self.known.iter_mut().find(|known| known.id == probe.id) {
            match probe.outcome {
                Ok(report) => {
                    known.state = State::Told(now);
                    known.container = Some(container(&probe.id, &report, cgroups));
                }
                Err(error) => {
                    log::error!("LXC container {:?} is left out: {error}", probe.id);
                    known.state = State::Failed(now);
                    known.container = None;
                }
            }
        }
        self.start_queued(now);
    }

    fn start_queued(&mut self, now: Instant) {
        for known in &mut self.known {
            if self.running == MAX_RUNNING {
                return;
            }
            if matches!(known.state, State::Queued(_)) {
                known.state = State::Asked(now);
                self.running += 1;
                probe::start(&self.command, &known.id, &self.more, self.results.clone());
            }
        }
    }

    /// Shows all containers whose state is known.
    pub(crate) fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container)) {
        let containers = self
            .known
            .iter()
            .filter_map(|known| known.container.as_ref());
        containers.for_each(visit);
    }

    /// The names of all containers, be their states known or not.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|known| known.id.as_str())
    }

    /// Whether there is a container of this name, be its state known or not.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.known.iter().any(|known| known.id == id)
    }
}

impl Known {
    /// Has the program run, unless it has since then.
    fn want(&mut self, since: Instant, now: Instant) {
        match self.state {
            State::Told(then) if then < since => self.state = State::Queued(now),
            State::Failed(then) if now.duration_since(then) >= REST => {
                self.state = State::Queued(now);
            }
            _ => {}
        }
    }
}

fn container(id: &str, report: &Report, cgroups: &Cgroups) -> Container {
    let pid = report.pid;
    let payload = format!("lxc.payload.{id}");
    let group = pid.and_then(|pid| {
        let ours = cgroups.of_process(pid, |part| part == payload);
        ours.or_else(|| cgroups.of_process(pid, |part| part == id))
    });
    Container {
        engine: "lxc",
        id: id.to_owned(),
        name: id.to_owned(),
        is_hash: false,
        cgroup: group.unwrap_or_else(|| format!("/lxc/{id}")),
        process: pid.map(|pid| InitProcess::watched(pid).unwrap_or(InitProcess::told(pid))),
        running: Running::Told(report.is_running()),
        paused: Paused::Told(report.is_paused()),
        restarting: report.is_starting(),
    }
}

/// What runs to ask for states: what the environment names, which may have options, or LXC's own.
pub(crate) fn command(given: Option<&str>, folder: Option<&Path>) -> (Vec<String>, Vec<String>) {
    match given.map(crate::arguments::split) {
        Some(Ok(command)) if !command.is_empty() => (command, Vec::new()),
        _ => {
            let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
            let more = folder.map(|folder| vec!["-P".to_owned(), folder]);
            (vec!["lxc-info".to_owned()], more.unwrap_or_default())
        }
    }
}
