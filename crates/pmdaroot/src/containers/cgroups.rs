//! Control groups, of version 1 and 2: where a container's are, and whether they are frozen.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files;

/// Where the hierarchies are mounted unless `PCP_CGROUP_DIR` says otherwise.
const DEFAULT_ROOT: &str = "/sys/fs/cgroup";

/// How deep and how far a tree is searched.
const MAX_DEPTH: usize = 16;
const MAX_FOLDERS: usize = 50_000;

/// What engines put before the identifier in the name of a group.
const PREFIXES: [&str; 4] = ["docker-", "libpod-", "cri-containerd-", "crio-"];

/// The control groups of the machine.
#[derive(Debug)]
pub(crate) struct Cgroups {
    root: PathBuf,
    /// The root was given, so that the tree below it counts for more than what the kernel tells.
    is_given: bool,
    proc: PathBuf,
}

impl Cgroups {
    pub(crate) fn new(given: Option<PathBuf>) -> Cgroups {
        Cgroups {
            is_given: given.is_some(),
            root: given.unwrap_or_else(|| DEFAULT_ROOT.into()),
            proc: "/proc".into(),
        }
    }

    /// The folders below which groups are looked for: version 2, by itself or beside version 1, and
    /// the memory hierarchy of version 1.
    pub(crate) fn trees(&self) -> Vec<PathBuf> {
        let mut trees = vec![self.root.join("unified"), self.root.join("memory")];
        if self.is_version_2() {
            trees.insert(0, self.root.clone());
        }
        trees.retain(|tree| tree.is_dir());
        trees
    }

    fn is_version_2(&self) -> bool {
        self.root.join("cgroup.controllers").exists()
    }

    /// Looks for the groups of many containers.
    pub(crate) fn search(&self) -> Search<'_> {
        Search {
            cgroups: self,
            found: None,
        }
    }

    /// The group of a process, cut behind the first component that `is_own` knows.
    pub(crate) fn of_process(&self, pid: u32, is_own: impl Fn(&str) -> bool) -> Option<String> {
        let memberships = self.memberships(pid);
        let own = |path: &str| {
            let parts: Vec<&str> = path.split('/').collect();
            let at = parts.iter().position(|part| is_own(part))?;
            Some(parts[..=at].join("/"))
        };
        let first = |wanted: fn(&Membership) -> bool| {
            let mut all = memberships.iter().filter(|group| wanted(group));
            all.find_map(|group| own(&group.path))
        };
        first(|group| group.controllers.is_empty())
            .or_else(|| first(|group| group.controllers.split(',').any(|name| name == "memory")))
            .or_else(|| first(|_| true))
    }

    /// The whole path of a process's group, where of several hierarchies the first counts.
    pub(crate) fn path_of(&self, pid: u32) -> Option<String> {
        let memberships = self.memberships(pid);
        let has_path = |group: &&Membership| group.path != "/";
        let is_memory = |group: &&Membership| group.controllers.split(',').any(|c| c == "memory");
        let mut all = memberships.iter();
        all.clone()
            .filter(has_path)
            .find(|group| group.controllers.is_empty())
            .or_else(|| all.clone().filter(has_path).find(is_memory))
            .or_else(|| all.next())
            .map(|group| group.path.clone())
    }

    /// Whether the group of a process is frozen: that is what pausing a container means.
    pub(crate) fn is_frozen(&self, pid: u32) -> bool {
        self.memberships(pid).iter().any(|group| {
            let path = group.path.trim_start_matches('/');
            if group.controllers.is_empty() {
                let base = if self.is_version_2() {
                    self.root.clone()
                } else {
                    self.root.join("unified")
                };
                files::read_text(&base.join(path).join("cgroup.events"))
                    .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
            } else if group.controllers == "freezer" {
                files::read_text(&self.root.join("freezer").join(path).join("freezer.state"))
                    .is_ok_and(|state| state.trim() == "FROZEN")
            } else {
                false
            }
        })
    }

    fn memberships(&self, pid: u32) -> Vec<Membership> {
        let path = self.proc.join(pid.to_string()).join("cgroup");
        let text = files::read_text(&path).unwrap_or_default();
        text.lines().filter_map(Membership::parse).collect()
    }
}

/// One line of `/proc/PID/cgroup`: without controllers it is the group of version 2.
#[derive(Debug)]
struct Membership {
    controllers: String,
    path: String,
}

impl Membership {
    fn parse(line: &str) -> Option<Membership> {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Membership {
            controllers: controllers.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Finds the groups of containers; the trees are walked once at most.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    cgroups: &'a Cgroups,
    found: Option<HashMap<String, String>>,
}

impl Search<'_> {
    /// The group of a container with an identifier that is part of the group's name, from the
    /// process that runs in it or from the trees.
    pub(crate) fn group(&mut self, id: &str, pid: Option<u32>) -> Option<String> {
        let cgroups = self.cgroups;
        let by_process = || {
            cgroups.of_process(pid?, |part| {
                // The monitor of a container has a group of its own beside it.
                identifier(part) == id || (part.contains(id) && !part.contains("conmon"))
            })
        };
        if cgroups.is_given {
            self.in_trees(id).or_else(by_process)
        } else {
            by_process().or_else(|| self.in_trees(id))
        }
    }

    /// The group of a process, whatever its name.
    pub(crate) fn whole_group(&self, pid: u32) -> Option<String> {
        self.cgroups.path_of(pid)
    }

    fn in_trees(&mut self, id: &str) -> Option<String> {
        let cgroups = self.cgroups;
        let found = self.found.get_or_insert_with(|| walk(&cgroups.trees()));
        found.get(id).cloned()
    }
}

/// What is left of a group's name without what engines and systemd put around it.
pub(crate) fn identifier(name: &str) -> &str {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// All groups by identifier; the first tree that has one counts.
fn walk(trees: &[PathBuf]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut left = MAX_FOLDERS;
    for tree in trees {
        descend(tree, "", MAX_DEPTH, &mut left, &mut found);
    }
    found
}

fn descend(
    tree: &Path,
    below: &str,
    depth: usize,
    left: &mut usize,
    found: &mut HashMap<String, String>,
) {
    for name in folders(&tree.join(below.trim_start_matches('/'))) {
        // No engine that is known here runs in the slices of users.
        if name == "user.slice" || *left == 0 {
            continue;
        }
        *left -= 1;
        let path = format!("{below}/{name}");
        if depth > 1 {
            descend(tree, &path, depth - 1, left, found);
        }
        found.entry(identifier(&name).to_owned()).or_insert(path);
    }
}

/// The names of the folders in a folder; none if it cannot be read.
pub(crate) fn folders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()))
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2";

    fn cgroups(root: &Path) -> Cgroups {
        Cgroups {
            root: root.join("cgroup"),
            is_given: true,
            proc: root.join("proc"),
        }
    }

    fn process(root: &Path, pid: u32, lines: &str) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup"), lines).unwrap();
    }

    #[test]
    fn groups_are_found_in_trees_of_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let cgroups = cgroups(folder.path());
        let scope = format!("machine.slice/libpod-{ID}.scope/container");
        fs::create_dir_all(cgroups.root.join("memory").join(&scope)).unwrap();
        let monitor = format!("machine.slice/libpod-conmon-{ID}.scope");
        fs::create_dir_all(cgroups.root.join("memory").join(&monitor)).unwrap();
        let expected = format!("/machine.slice/libpod-{ID}.scope");
        assert_eq!(cgroups.search().group(ID, None), Some(expected));
        fs::create_dir_all(cgroups.root.join("docker").join(ID)).unwrap();
        fs::write(cgroups.root.join("cgroup.controllers"), "memory").unwrap();
        let expected = format!("/docker/{ID}");
        assert_eq!(cgroups.search().group(ID, None), Some(expected));
        assert_eq!(cgroups.search().group("other", None), None);
    }

    #[test]
    fn the_group_of_a_process_ends_with_the_part_that_names_the_container() {
        let folder = tempfile::tempdir().unwrap();
        let mut cgroups = cgroups(folder.path());
        cgroups.is_given = false;
        let path = format!("/very/long/{}/docker-{ID}.scope", "x".repeat(300));
        process(
            folder.path(),
            7,
            &format!("4:memory:{path}/init\n0::/init.scope\n"),
        );
        assert_eq!(cgroups.search().group(ID, Some(7)), Some(path));
        assert_eq!(cgroups.search().group("other", Some(7)), None);
    }

    #[test]
    fn frozen_groups_of_both_versions_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let cgroups = cgroups(folder.path());
        process(folder.path(), 1, "9:freezer:/one\n0::/two\n");
        assert!(!cgroups.is_frozen(1));
        let old = cgroups.root.join("freezer/one");
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join("freezer.state"), "FROZEN\n").unwrap();
        assert!(cgroups.is_frozen(1));
        fs::write(old.join("freezer.state"), "THAWED\n").unwrap();
        let new = cgroups.root.join("unified/two");
        fs::create_dir_all(&new).unwrap();
        fs::write(new.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        assert!(cgroups.is_frozen(1));
        assert!(!cgroups.is_frozen(2));
    }
}
