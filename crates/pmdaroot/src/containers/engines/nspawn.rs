//! systemd-nspawn: a file for each machine that runs, as systemd-machined leaves it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Engine, ROOT, Surroundings};
use crate::containers::cgroups::Cgroups;
use crate::containers::container::{Container, InitProcess, Paused, Running};
use crate::files;
use crate::log;

/// All machines of systemd-nspawn.
#[derive(Debug)]
pub(crate) struct Nspawn {
    machines: PathBuf,
    containers: Vec<Container>,
}

impl Nspawn {
    /// `machines` is where systemd-machined keeps its state.
    pub(crate) fn new(machines: PathBuf) -> Nspawn {
        Nspawn {
            machines,
            containers: Vec::new(),
        }
    }

    fn scan(&mut self, cgroups: &Cgroups) {
        let entries = fs::read_dir(&self.machines).into_iter().flatten().flatten();
        // The links there name the machine of a unit.
        let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
        let names = files.filter_map(|entry| entry.file_name().into_string().ok());
        let is_machine = |name: &String| !name.starts_with('.') && !name.starts_with('#');
        let names: Vec<String> = names.filter(is_machine).collect();
        let known = |name: &String| self.containers.iter().position(|one| one.id == *name);
        let mut names: Vec<(Option<usize>, String)> =
            names.into_iter().map(|name| (known(&name), name)).collect();
        // Those that were there keep their place.
        names.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
        self.containers = names
            .into_iter()
            .filter_map(|(_, name)| load(&self.machines.join(&name), &name, cgroups))
            .collect();
    }
}

fn load(path: &Path, name: &str, cgroups: &Cgroups) -> Option<Container> {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) => {
            if !error.is_absence() {
                log::error!("{}: {error}; the machine is left out", path.display());
            }
            return None;
        }
    };
    let settings: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key, value.trim_matches('"')))
        .collect();
    if settings.get("SERVICE") != Some(&"systemd-nspawn") {
        return None;
    }
    let pid = settings.get("LEADER")?.parse().ok()?;
    let process = InitProcess::watched(pid)?;
    let unit = settings.get("SCOPE").or(settings.get("UNIT")).copied();
    let group = unit.and_then(|unit| cgroups.of_process(pid, |part| part == unit));
    let default = || format!("/machine.slice/{}", unit.unwrap_or(name));
    Some(Container {
        engine: "systemd-nspawn",
        id: name.to_owned(),
        name: name.to_owned(),
        is_hash: false,
        cgroup: group.unwrap_or_else(default),
        process: Some(process),
        running: Running::Process,
        paused: Paused::Frozen,
        restarting: false,
    })
}

impl Engine for Nspawn {
    fn refresh(&mut self, _news: &[String], surroundings: &mut Surroundings<'_>) {
        surroundings.watch(ROOT, &self.machines, &[]);
        self.scan(surroundings.cgroups);
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container)) {
        self.containers.iter().for_each(visit);
    }
}
