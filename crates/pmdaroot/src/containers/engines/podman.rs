//! Podman: one JSON file with all containers of the storage, and a file with the process of each
//! that runs. CRI-O keeps its containers in the same storage.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Engine, ROOT, Surroundings};
use crate::containers::cgroups::Search;
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::files;
use crate::log;

const CONTAINERS: &[&str] = &["containers.json"];
/// Containers that do not outlive a boot; only newer versions have it.
const VOLATILE: &str = "volatile-containers.json";
const PID_FILE: &[&str] = &["pidfile"];

/// What the source for the run directory is called. No identifier is.
const RUN: &str = "/run";

/// All containers of the system's storage.
#[derive(Debug)]
pub(crate) struct Podman {
    data: PathBuf,
    run: PathBuf,
    containers: Vec<Container>,
}

/// What matters of an entry.
#[derive(Debug, Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

impl Podman {
    /// `data` has the file with all containers (`PCP_PODMAN_DATADIR`), `run` a folder for each that
    /// runs (`PCP_PODMAN_RUNDIR`).
    pub(crate) fn new(data: PathBuf, run: PathBuf) -> Podman {
        Podman {
            data,
            run,
            containers: Vec::new(),
        }
    }

    fn scan(&mut self, surroundings: &mut Surroundings<'_>, search: &mut Search<'_>) {
        let mut stored = read(&self.data.join("containers.json"));
        stored.extend(read(&self.run.join(VOLATILE)));
        self.containers.retain(|container| {
            let stays = stored.iter().any(|entry| entry.id == container.id);
            if !stays {
                surroundings.forget(&container.id);
            }
            stays
        });
        for entry in stored {
            let name = entry.names.into_iter().next().unwrap_or_default();
            if let Some(known) = self.find(&entry.id) {
                known.name = name;
                continue;
            }
            let container = Container {
                engine: "podman",
                name,
                is_hash: true,
                cgroup: String::new(),
                process: None,
                running: Running::Process,
                paused: Paused::Frozen,
                restarting: false,
                id: entry.id.clone(),
            };
            self.containers.push(container);
            self.load(&entry.id, surroundings, search);
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Container> {
        self.containers
            .iter_mut()
            .find(|container| container.id == id)
    }

    /// Reads which process a container has.
    fn load(&mut self, id: &str, surroundings: &mut Surroundings<'_>, search: &mut Search<'_>) {
        let folder = self.run.join(id);
        let userdata = folder.join("userdata");
        surroundings.watch_if_there(id, &folder, &["userdata"]);
        surroundings.watch_if_there(id, &userdata, PID_FILE);
        let process = read_pid(&userdata.join("pidfile")).and_then(InitProcess::watched);
        let Some(container) = self.find(id) else {
            return;
        };
        container.process = process;
        let group = search.group(id, process.map(|process| process.pid));
        container.cgroup = group.unwrap_or_else(|| format!("/libpod-{id}.scope"));
        if container.cgroup.contains("/crio-") {
            container.engine = "crio";
        }
    }

    /// A folder has come or gone in the run directory.
    fn look_for_started(&mut self, surroundings: &mut Surroundings<'_>, search: &mut Search<'_>) {
        let stopped = self.containers.iter().filter(|one| one.pid().is_none());
        let stopped: Vec<String> = stopped.map(|container| container.id.clone()).collect();
        for id in stopped {
            if self.run.join(&id).exists() {
                self.load(&id, surroundings, search);
            }
        }
    }
}

fn read(path: &Path) -> Vec<Stored> {
    let bytes = match files::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_absence() => return Vec::new(),
        Err(error) => {
            log::error!("{}: {error}; its containers are left out", path.display());
            return Vec::new();
        }
    };
    // One entry that is not as expected does not spoil the others.
    let entries: Vec<serde_json::Value> = match serde_json::from_slice(&bytes) {
        Ok(entries) => entries,
        Err(error) => {
            log::error!("{}: {error}; its containers are left out", path.display());
            return Vec::new();
        }
    };
    let entries = entries.into_iter().map(Stored::deserialize);
    entries
        .filter_map(|entry| {
            entry
                .inspect_err(|error| {
                    log::error!("{}: {error}; the container is left out", path.display());
                })
                .ok()
        })
        .filter(|entry| is_identifier(&entry.id))
        .collect()
}

/// Nothing that would lead out of the folder.
fn is_identifier(id: &str) -> bool {
    !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\0'])
}

fn read_pid(path: &Path) -> Option<u32> {
    match files::read_text(path) {
        Ok(text) => text.trim().parse().ok(),
        Err(error) => {
            if !error.is_absence() {
                log::error!(
                    "{}: {error}; the container counts as stopped",
                    path.display()
                );
            }
            None
        }
    }
}

impl Engine for Podman {
    fn refresh(&mut self, news: &[String], surroundings: &mut Surroundings<'_>) {
        let mut search = surroundings.cgroups.search();
        surroundings.watch(ROOT, &self.data, CONTAINERS);
        surroundings.watch(RUN, &self.run, &[]);
        let is_about = |key: &str| news.iter().any(|one| one == key);
        if is_about(ROOT) || is_about(RUN) {
            self.scan(surroundings, &mut search);
        }
        if is_about(RUN) {
            self.look_for_started(surroundings, &mut search);
        }
        for id in news.iter().filter(|key| *key != ROOT && *key != RUN) {
            self.load(id, surroundings, &mut search);
        }
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container)) {
        self.containers.iter().for_each(visit);
    }
}
