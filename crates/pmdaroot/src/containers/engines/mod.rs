//! One module for each engine: where it keeps its state, and what that means.

mod containerd;
mod docker;
mod kubernetes;
pub(crate) mod lxc;
mod nspawn;
mod podman;

use std::path::PathBuf;

pub(crate) use containerd::Containerd;
pub(crate) use docker::Docker;
pub(crate) use kubernetes::Kubernetes;
pub(crate) use nspawn::Nspawn;
pub(crate) use podman::Podman;

use super::cgroups::Cgroups;
use super::container::Container;
use super::sources::{Absent, Sources};

/// An engine whose state lies in files.
pub(crate) trait Engine {
    /// Reads what has changed. `news` are the engine's names of its sources; the first time it is
    /// [`ROOT`] alone.
    fn refresh(&mut self, news: &[String], surroundings: &mut Surroundings<'_>);

    /// Shows all containers, in the order in which they were found.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Container));
}

/// What every engine calls the source that it begins with.
pub(crate) const ROOT: &str = "";

/// What an engine may use to read its state.
pub(crate) struct Surroundings<'a> {
    /// The engine's place among all engines.
    pub(crate) engine: usize,
    pub(crate) sources: &'a mut Sources,
    pub(crate) cgroups: &'a Cgroups,
}

impl Surroundings<'_> {
    fn watch(&mut self, key: &str, path: &std::path::Path, only: &'static [&'static str]) {
        let key = (self.engine, key.to_owned());
        self.sources.watch(key, path, only, Absent::LookFor);
    }

    /// For a source whose coming is told by another one.
    fn watch_if_there(&mut self, key: &str, path: &std::path::Path, only: &'static [&'static str]) {
        let key = (self.engine, key.to_owned());
        self.sources.watch(key, path, only, Absent::Leave);
    }

    fn forget(&mut self, key: &str) {
        self.sources.forget(&(self.engine, key.to_owned()));
    }
}

/// A folder that the environment may name.
pub(crate) fn folder(variable: Option<PathBuf>, default: &str) -> PathBuf {
    variable.unwrap_or_else(|| default.into())
}
