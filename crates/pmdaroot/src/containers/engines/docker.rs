//! Docker: a folder for each container, with its configuration and state in one JSON file.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Engine, ROOT, Surroundings};
use crate::containers::cgroups::{Search, folders};
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::files;
use crate::log;

/// The file of today, and the one of Docker before 1.10, which may lie there still.
const FILES: [&str; 2] = ["config.v2.json", "config.json"];

/// All containers that Docker knows, running or not.
#[derive(Debug)]
pub(crate) struct Docker {
    folder: PathBuf,
    /// The parent group, if Docker was told to use systemd's.
    systemd_cgroup: Option<String>,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    id: String,
    /// Nothing while its file cannot be read.
    container: Option<Container>,
}

/// What matters in the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    name: String,
    state: State,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct State {
    running: bool,
    paused: bool,
    restarting: bool,
    pid: i64,
}

impl Docker {
    /// `folder` is Docker's own (`PCP_DOCKER_DIR`).
    pub(crate) fn new(folder: &std::path::Path, systemd_cgroup: Option<String>) -> Docker {
        Docker {
            folder: folder.join("containers"),
            systemd_cgroup,
            known: Vec::new(),
        }
    }

    fn scan(&mut self, surroundings: &mut Surroundings<'_>, search: &mut Search<'_>) {
        let found = folders(&self.folder);
        self.known.retain(|known| {
            let stays = found.contains(&known.id);
            if !stays {
                surroundings.forget(&known.id);
            }
            stays
        });
        for id in found {
            if self.known.iter().all(|known| known.id != id) {
                surroundings.watch(&id, &self.folder.join(&id), &FILES);
                let container = self.load(&id, search);
                self.known.push(Known { id, container });
            }
        }
    }

    fn load(&self, id: &str, search: &mut Search<'_>) -> Option<Container> {
        let folder = self.folder.join(id);
        for name in FILES {
            let path = folder.join(name);
            let bytes = match files::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.is_absence() => continue,
                Err(error) => {
                    log::error!("{}: {error}; the container is left out", path.display());
                    return None;
                }
            };
            return match serde_json::from_slice(&bytes) {
                Ok(config) => Some(self.container(id, config, search)),
                Err(error) => {
                    log::error!("{}: {error}; the container is left out", path.display());
                    None
                }
            };
        }
        None
    }

    fn container(&self, id: &str, config: Config, search: &mut Search<'_>) -> Container {
        let state = config.state;
        let pid = u32::try_from(state.pid).ok().filter(|pid| *pid > 0);
        let name = config.name;
        let default = || match &self.systemd_cgroup {
            Some(parent) => format!("{parent}/docker-{id}.scope"),
            None => format!("/docker/{id}"),
        };
        Container {
            engine: "docker",
            id: id.to_owned(),
            name: name.strip_prefix('/').unwrap_or(&name).to_owned(),
            is_hash: true,
            cgroup: search.group(id, pid).unwrap_or_else(default),
            process: pid.map(InitProcess::told),
            running: Running::Told(state.running),
            paused: Paused::Told(state.paused),
            restarting: state.restarting,
        }
    }
}

impl Engine for Docker {
    fn refresh(&mut self, news: &[String], surroundings: &mut Surroundings<'_>) {
        let mut search = surroundings.cgroups.search();
        surroundings.watch(ROOT, &self.folder, &[]);
        for key in news {
            if key == ROOT {
                self.scan(surroundings, &mut search);
            } else if let Some(at) = self.known.iter().position(|known| known.id == *key) {
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
