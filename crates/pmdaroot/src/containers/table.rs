//! All containers of all engines by number, identifier and name.

use std::collections::{BTreeMap, HashMap};

use super::container::Container;

/// The containers as they are now.
#[derive(Debug, Default)]
pub(crate) struct Table {
    containers: BTreeMap<u32, Container>,
    by_id: HashMap<String, u32>,
    by_name: HashMap<String, Vec<u32>>,
    /// The numbers of all identifiers ever seen: one that comes again has its old number.
    numbers: HashMap<String, u32>,
    next_number: u32,
}

/// Why a name does not lead to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFound {
    #[error("no container has it")]
    Unknown,
    #[error("{0} containers could be meant")]
    Ambiguous(usize),
}

/// How many identifiers of containers that have gone are remembered.
const MAX_REMEMBERED: usize = 10_000;

impl Table {
    /// Has these containers from now on. Where two have the same identifier, the first counts.
    pub(crate) fn replace<'a>(&mut self, containers: impl Iterator<Item = &'a Container>) {
        self.containers.clear();
        self.by_id.clear();
        self.by_name.clear();
        for container in containers {
            if let Some(&number) = self.by_id.get(&container.id) {
                let has_it = self.containers.get(&number);
                if has_it.is_some_and(|one| !one.is_hash) && !container.is_hash {
                    // People gave it to both: it does not tell one from the other.
                    self.by_name
                        .entry(container.id.clone())
                        .or_default()
                        .push(number);
                }
                continue;
            }
            let number = self.number(&container.id);
            self.by_id.insert(container.id.clone(), number);
            if !container.name.is_empty() {
                let same_name = self.by_name.entry(container.name.clone());
                same_name.or_default().push(number);
            }
            self.containers.insert(number, container.clone());
        }
        if self.numbers.len() > self.by_id.len() + MAX_REMEMBERED {
            let by_id = &self.by_id;
            self.numbers.retain(|id, _| by_id.contains_key(id));
        }
    }

    /// Gives a number to an identifier of which a container may come later.
    pub(crate) fn reserve(&mut self, id: &str) {
        self.number(id);
    }

    fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.numbers.insert(id.to_owned(), number);
        number
    }

    /// All containers with the numbers of their instances.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Container)> {
        self.containers.iter().map(|(number, one)| (*number, one))
    }

    /// The container that is meant by a name: its identifier, its name, the beginning of a single
    /// identifier, or a part of a single one.
    pub(crate) fn find(&self, name: &str) -> Result<&Container, NotFound> {
        let by_id = self.by_id.get(name);
        let by_id = by_id.and_then(|number| self.containers.get(number));
        // An identifier that people made up is a name, which others may have as well.
        if let Some(container) = by_id
            && (container.is_hash || !self.by_name.contains_key(name))
        {
            return Ok(container);
        }
        let human = name.strip_prefix('/').unwrap_or(name);
        match self.by_name.get(human).map(Vec::as_slice) {
            Some([number]) => return self.containers.get(number).ok_or(NotFound::Unknown),
            Some(several) => return Err(NotFound::Ambiguous(several.len())),
            None => {}
        }
        if name.is_empty() {
            return Err(NotFound::Unknown);
        }
        match self.only(|id| id.starts_with(name)) {
            Err(NotFound::Unknown) => self.only(|id| id.contains(name)),
            found => found,
        }
    }

    /// The only container with an identifier that will do.
    fn only(&self, will_do: impl Fn(&str) -> bool) -> Result<&Container, NotFound> {
        let containers = self.containers.values();
        let mut found = containers.filter(|one| one.is_hash && will_do(&one.id));
        let first = found.next().ok_or(NotFound::Unknown)?;
        match found.count() {
            0 => Ok(first),
            others => Err(NotFound::Ambiguous(others + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::container::{Paused, Running};

    fn container(engine: &'static str, id: &str, name: &str) -> Container {
        Container {
            engine,
            id: id.into(),
            name: name.into(),
            is_hash: !matches!(engine, "lxc" | "systemd-nspawn"),
            cgroup: String::new(),
            process: None,
            running: Running::Told(true),
            paused: Paused::Told(false),
            restarting: false,
        }
    }

    fn table(containers: &[Container]) -> Table {
        let mut table = Table::default();
        table.replace(containers.iter());
        table
    }

    fn found(table: &Table, name: &str) -> Result<String, NotFound> {
        table.find(name).map(|container| container.id.clone())
    }

    #[test]
    fn identifiers_names_and_unique_parts_of_identifiers_lead_to_a_container() {
        let table = table(&[
            container("docker", "aabb01", "web"),
            container("docker", "aacc02", "with space"),
            container("podman", "ddaa03", "-hyphen"),
            container("lxc", "vm", "vm"),
        ]);
        for name in ["aabb01", "web", "/web", "aab", "bb"] {
            assert_eq!(found(&table, name).as_deref(), Ok("aabb01"), "{name}");
        }
        assert_eq!(found(&table, "with space").as_deref(), Ok("aacc02"));
        assert_eq!(found(&table, "-hyphen").as_deref(), Ok("ddaa03"));
        assert_eq!(found(&table, "vm").as_deref(), Ok("vm"));
        // Its name is not made up by the engine: a part of it is no identifier.
        assert_eq!(found(&table, "v"), Err(NotFound::Unknown));
        assert_eq!(found(&table, ""), Err(NotFound::Unknown));
        assert_eq!(found(&table, "we"), Err(NotFound::Unknown));
    }

    #[test]
    fn what_could_mean_several_is_not_guessed() {
        let table = table(&[
            container("docker", "aabb01", "web"),
            container("docker", "aacc02", "db"),
            container("podman", "ddaa03", "web"),
        ]);
        assert_eq!(found(&table, "web"), Err(NotFound::Ambiguous(2)));
        assert_eq!(found(&table, "aa"), Err(NotFound::Ambiguous(2)));
        assert_eq!(found(&table, "0"), Err(NotFound::Ambiguous(3)));
    }

    #[test]
    fn a_name_that_two_engines_gave_is_not_guessed() {
        let table = table(&[
            container("docker", "aabb01", "vm"),
            container("lxc", "vm", "vm"),
            container("lxc", "other", "other"),
            container("systemd-nspawn", "other", "other"),
        ]);
        assert_eq!(found(&table, "vm"), Err(NotFound::Ambiguous(2)));
        assert_eq!(found(&table, "other"), Err(NotFound::Ambiguous(2)));
        assert_eq!(found(&table, "aabb01").as_deref(), Ok("aabb01"));
    }

    #[test]
    fn numbers_stay_with_their_identifiers() {
        let (one, two) = (container("docker", "1", "a"), container("docker", "2", "b"));
        let mut table = table(&[one.clone(), two.clone()]);
        table.replace([&two].into_iter());
        assert_eq!(
            table.all().map(|(number, _)| number).collect::<Vec<_>>(),
            [1]
        );
        let three = container("docker", "3", "c");
        table.replace([&three, &two, &one].into_iter());
        let all: Vec<_> = table
            .all()
            .map(|(number, one)| (number, &*one.id))
            .collect();
        assert_eq!(all, [(0, "1"), (1, "2"), (2, "3")]);
    }

    #[test]
    fn the_first_engine_that_claims_an_identifier_has_it() {
        let (docker, other) = (
            container("docker", "1", "a"),
            container("containerd", "1", "b"),
        );
        let table = table(&[docker, other]);
        assert_eq!(table.find("1").unwrap().engine, "docker");
        assert_eq!(found(&table, "b"), Err(NotFound::Unknown));
    }
}
