//! Containers of pods that only their control groups tell of: those of CRI-O, and those of a
//! containerd whose state directory is elsewhere. Only running containers have a group.

use std::path::Path;

use super::{Engine, ROOT, Surroundings};
use crate::containers::cgroups::{folders, identifier};
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::files;

/// The parent of all pods, as the kubelet names it with and without systemd.
const PARENTS: [&str; 2] = ["kubepods.slice", "kubepods"];

/// Quality of service, pod, container.
const MAX_DEPTH: usize = 4;

/// All containers with a group below those of pods.
#[derive(Debug, Default)]
pub(crate) struct Kubernetes {
    containers: Vec<Container>,
    sources: Vec<String>,
}

impl Kubernetes {
    fn scan(&mut self, surroundings: &mut Surroundings<'_>) {
        let before = std::mem::take(&mut self.containers);
        let mut sources = Vec::new();
        for tree in surroundings.cgroups.trees() {
            for parent in PARENTS {
                self.descend(&tree, &format!("/{parent}"), MAX_DEPTH, &mut sources);
            }
            if !self.containers.is_empty() {
                break;
            }
        }
        // Those that were there keep their place.
        let place = |one: &Container| before.iter().position(|known| known.id == one.id);
        self.containers
            .sort_by_key(|one| place(one).unwrap_or(usize::MAX));
        for path in self.sources.extract_if(.., |path| !sources.contains(path)) {
            surroundings.forget(&path);
        }
        for path in sources {
            surroundings.watch_if_there(&path, Path::new(&path), &[]);
            if !self.sources.contains(&path) {
                self.sources.push(path);
            }
        }
    }

    fn descend(&mut self, tree: &Path, below: &str, depth: usize, sources: &mut Vec<String>) {
        let folder = tree.join(below.trim_start_matches('/'));
        if !folder.is_dir() {
            return;
        }
        sources.push(folder.to_string_lossy().into_owned());
        for name in folders(&folder) {
            let path = format!("{below}/{name}");
            if is_hash(identifier(&name)) {
                self.containers
                    .extend(container(&folder.join(&name), &path, &name));
            } else if depth > 1 {
                self.descend(tree, &path, depth - 1, sources);
            }
        }
    }
}

/// The container with the group `path`; `folder` is where the group lies.
fn container(folder: &Path, path: &str, name: &str) -> Option<Container> {
    let pid = first_process(folder)?;
    let id = identifier(name);
    let engine = if name.starts_with("crio-") {
        "crio"
    } else {
        "containerd"
    };
    Some(Container {
        engine,
        id: id.to_owned(),
        name: String::new(),
        is_hash: true,
        cgroup: path.to_owned(),
        process: Some(InitProcess::watched(pid)?),
        running: Running::Process,
        paused: Paused::Frozen,
        restarting: false,
    })
}

/// The process with the lowest number is the first one, as long as numbers do not begin again.
fn first_process(folder: &Path) -> Option<u32> {
    let text = files::read_text(&folder.join("cgroup.procs")).ok()?;
    text.lines().filter_map(|line| line.parse().ok()).min()
}

fn is_hash(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Engine for Kubernetes {
    fn refresh(&mut self, news: &[String], surroundings: &mut Surroundings<'_>) {
        for tree in surroundings.cgroups.trees() {
            surroundings.watch(ROOT, &tree, &PARENTS);
        }
        if !news.is_empty() {
            self.scan(surroundings);
        }
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container)) {
        self.containers.iter().for_each(visit);
    }
}
