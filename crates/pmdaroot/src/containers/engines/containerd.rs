//! containerd: a folder for each task that runs, below the namespace of whoever asked for it.
//! Docker's namespace is left to Docker's own state, which says more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Engine, ROOT, Surroundings};
use crate::containers::cgroups::{Search, folders};
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::files;
use crate::log;

/// Where the shims of containerd keep their tasks.
const TASKS: &str = "io.containerd.runtime.v2.task";
const DOCKER: &str = "moby";
const FILES: [&str; 2] = ["init.pid", "config.json"];

/// The annotations that name a container: those of Kubernetes, and that of nerdctl.
const CONTAINER_NAME: &str = "io.kubernetes.cri.container-name";
const POD_NAME: &str = "io.kubernetes.cri.sandbox-name";
const NERDCTL_NAME: &str = "nerdctl/name";

/// All running tasks of containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    tasks: PathBuf,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    /// Namespace and identifier, with a slash between them.
    key: String,
    container: Option<Container>,
}

/// What matters of the specification that a task was started with.
#[derive(Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Spec {
    fn read(path: &Path) -> Spec {
        match files::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                log::error!("{}: {error}; the container has no name", path.display());
                Spec::default()
            }),
            Err(error) => {
                if !error.is_absence() {
                    log::error!("{}: {error}; the container has no name", path.display());
                }
                Spec::default()
            }
        }
    }

    /// Containers of different pods may share a name, so that the pod's is a part of it.
    fn name(&self) -> Option<String> {
        let get = |name| self.annotations.get(name).map(String::as_str);
        match (get(POD_NAME), get(CONTAINER_NAME)) {
            (Some(pod), Some(container)) => Some(format!("{pod}/{container}")),
            (one, other) => one.or(other).or(get(NERDCTL_NAME)).map(str::to_owned),
        }
    }
}

impl Containerd {
    /// `state` is containerd's state directory.
    pub(crate) fn new(state: &Path) -> Containerd {
        Containerd {
            tasks: state.join(TASKS),
            known: Vec::new(),
        }
    }

    fn scan(&mut self, surroundings: &mut Surroundings<'_>, search: &mut Search<'_>) {
        let mut found = Vec::new();
        for namespace in folders(&self.tasks) {
            if namespace == DOCKER {
                continue;
            }
            let folder = self.tasks.join(&namespace);
            surroundings.watch_if_there(&format!("{namespace}/"), &folder, &[]);
            let ids = folders(&folder).into_iter();
            found.extend(ids.map(|id| format!("{namespace}/{id}")));
        }
        self.known.retain(|known| {
            let stays = found.contains(&known.key);
            if !stays {
                surroundings.forget(&known.key);
            }
            stays
        });
        for key in found {
            if self.known.iter().all(|known| known.key != key) {
                surroundings.watch_if_there(&key, &self.tasks.join(&key), &FILES);
                let container = self.load(&key, search);
                self.known.push(Known { key, container });
            }
        }
    }

    fn load(&self, key: &str, search: &mut Search<'_>) -> Option<Container> {
        let folder = self.tasks.join(key);
        let path = folder.join("init.pid");
        let pid = match files::read_text(&path) {
            Ok(text) => text.trim().parse().ok()?,
            Err(error) => {
                if !error.is_absence() {
                    log::error!("{}: {error}; the container is left out", path.display());
                }
                return None;
            }
        };
        let process = InitProcess::watched(pid)?;
        let (_, id) = key.rsplit_once('/')?;
        let group = search.group(id, Some(pid));
        let group = group.or_else(|| search.whole_group(pid));
        Some(Container {
            engine: "containerd",
            id: id.to_owned(),
            name: Spec::read(&folder.join("config.json"))
                .name()
                .unwrap_or_else(|| id.to_owned()),
            is_hash: true,
            cgroup: group.unwrap_or_else(|| format!("/{key}")),
            process: Some(process),
            running: Running::Process,
            paused: Paused::Frozen,
            restarting: false,
        })
    }
}

impl Engine for Containerd {
    fn refresh(&mut self, news: &[String], surroundings: &mut Surroundings<'_>) {
        let mut search = surroundings.cgroups.search();
        surroundings.watch(ROOT, &self.tasks, &[]);
        // A namespace's source ends with a slash.
        if news.iter().any(|key| key == ROOT || key.ends_with('/')) {
            self.scan(surroundings, &mut search);
        }
        for key in news {
            if let Some(at) = self.known.iter().position(|known| known.key == *key) {
                let container = self.load(key, &mut search);
                if let Some(known) = self.known.get_mut(at) {
                    known.container = container;
                }
            }
        }
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container)) {
        let containers = self
            .known
            .iter()
            .filter_map(|known| known.container.as_ref());
        containers.for_each(visit);
    }
}
