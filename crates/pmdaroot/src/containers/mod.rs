//! The containers of this machine: which engines there are, and what is known of their containers.
//! State is read when it has changed, not when somebody asks.

mod cgroups;
mod container;
mod engines;
mod sources;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use pcp_env::Environment;

use crate::log;
use crate::mailbox::Postman;
use cgroups::Cgroups;
pub(crate) use container::Container;
pub(crate) use engines::lxc::Probe;
use engines::lxc::{self, Lxc};
use engines::{Containerd, Docker, Engine, Kubernetes, Nspawn, Podman, ROOT, Surroundings, folder};
use sources::Sources;
pub(crate) use table::NotFound;
use table::Table;

/// How many engines give numbers to their containers before LXC does, as it always was.
const BEFORE_LXC: usize = 2;

/// All containers of all engines.
pub(crate) struct Containers {
    engines: Vec<Box<dyn Engine>>,
    lxc: Lxc,
    /// LXC's place among the engines.
    lxc_place: usize,
    sources: Sources,
    cgroups: Cgroups,
    table: Table,
}

impl Containers {
    /// Reads the state of all engines. What is found out later comes to the mailbox of `probes`, and
    /// belongs to [`Containers::deliver`].
    pub(crate) fn new(environment: &Environment, probes: Postman<Probe>) -> Containers {
        let path = |name: &str| environment.path(name);
        let storage = |kind: &str| format!("/var/{kind}/containers/storage/overlay-containers");
        let docker = folder(path("PCP_DOCKER_DIR"), "/var/lib/docker");
        let docker = Docker::new(&docker, environment.get("PCP_SYSTEMD_CGROUP"));
        let podman = Podman::new(
            folder(path("PCP_PODMAN_DATADIR"), &storage("lib")),
            folder(path("PCP_PODMAN_RUNDIR"), &storage("run")),
        );
        let containerd = folder(path("PCP_CONTAINERD_RUNDIR"), "/run/containerd");
        let machines = folder(path("PCP_MACHINES_DIR"), "/run/systemd/machines");
        let engines: Vec<Box<dyn Engine>> = vec![
            Box::new(podman),
            Box::new(docker),
            Box::new(Containerd::new(&containerd)),
            Box::new(Kubernetes::default()),
            Box::new(Nspawn::new(machines)),
        ];
        let lxc_folder = path("PCP_LXC_DIR");
        let given = environment.get("PCP_LXC_INFO");
        let (command, more) = lxc::command(given.as_deref(), lxc_folder.as_deref());
        let lxc_folder: PathBuf = folder(lxc_folder, "/var/lib/lxc");
        let mut containers = Containers {
            lxc: Lxc::new(lxc_folder, command, more, probes),
            lxc_place: engines.len(),
            engines,
            sources: Sources::new(),
            cgroups: Cgroups::new(path("PCP_CGROUP_DIR")),
            table: Table::default(),
        };
        let all = (0..=containers.engines.len()).map(|place| (place, vec![ROOT.to_owned()]));
        containers.read(all.collect(), Instant::now());
        containers
    }

    /// Ends what still runs for it in the background, where the whole process is to end.
    pub(crate) fn end() {
        lxc::end_all();
    }

    /// Reads what has changed since the last time.
    pub(crate) fn refresh(&mut self, now: Instant) {
        let mut news: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (place, key) in self.sources.news() {
            news.entry(place).or_default().push(key);
        }
        if !news.is_empty() {
            self.read(news, now);
        }
    }

    fn read(&mut self, news: BTreeMap<usize, Vec<String>>, now: Instant) {
        for (place, keys) in news {
            log::debug!("attr", "engine {place} is read because of {keys:?}");
            let mut surroundings = Surroundings {
                engine: place,
                sources: &mut self.sources,
                cgroups: &self.cgroups,
            };
            if let Some(engine) = self.engines.get_mut(place) {
                engine.refresh(&keys, &mut surroundings);
            } else if place == self.lxc_place {
                self.lxc.refresh(&mut surroundings, now);
            }
        }
        self.tabulate();
    }

    /// Takes what was found out in the background.
    pub(crate) fn deliver(&mut self, probes: Vec<Probe>, now: Instant) {
        if probes.is_empty() {
            return;
        }
        for probe in probes {
            self.lxc.deliver(probe, &self.cgroups, now);
        }
        self.tabulate();
    }

    fn tabulate(&mut self) {
        let mut all = Vec::new();
        for (place, engine) in self.engines.iter().enumerate() {
            engine.each(&mut |container| all.push(container));
            if place + 1 == BEFORE_LXC {
                // The states of LXC's containers come in any order; their numbers should not.
                let before = all.iter().map(|container| container.id.as_str());
                before
                    .chain(self.lxc.names())
                    .for_each(|id| self.table.reserve(id));
                self.lxc.each(&mut |container| all.push(container));
            }
        }
        self.table.replace(all.into_iter());
    }

    /// The container that is meant by a name, or until when to wait before asking again. `asked` is
    /// when the question came first: what is answered was true then, or later.
    pub(crate) fn find(
        &mut self,
        name: &str,
        asked: Instant,
        now: Instant,
    ) -> Result<Found<'_>, NotFound> {
        if self.lxc.has(name) {
            self.lxc.want(name, asked, now);
            if let Some(until) = self.lxc.settles_at(Some(name), now) {
                return Ok(Found::Later(until));
            }
        }
        self.table.find(name).map(Found::Now)
    }

    /// Asks for the states that are not told by files.
    pub(crate) fn want_states(&mut self, now: Instant) {
        self.lxc.want_all(now);
    }

    /// Until when to wait for states that are being asked for; `None` if all are known.
    pub(crate) fn settles_at(&self, now: Instant) -> Option<Instant> {
        self.lxc.settles_at(None, now)
    }

    /// All containers with the numbers of their instances.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Container)> {
        self.table.all()
    }

    /// The control group of any process.
    pub(crate) fn group_of(&self, pid: u32) -> Option<String> {
        self.cgroups.path_of(pid)
    }

    /// Whether a container is paused now.
    pub(crate) fn is_paused(&self, container: &Container) -> bool {
        container.is_paused(&self.cgroups)
    }
}

/// What a look-up finds.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// The container.
    Now(&'a Container),
    /// Its state is being asked for: it will be known by then.
    Later(Instant),
}
