//! The loads: what every contender is put through, and the containers that it is asked about.

use super::super::figures::Figure;
use super::super::suite;

pub(in crate::bench) type Load = suite::Load<Work>;

/// What a load generator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Work {
    /// One client asks for one container after the other.
    LookUps { by: Key, containers: u32 },
    /// The same by name and by id, and what the program holds after it.
    Memory { containers: u32 },
    /// So many clients, which all stay until the last has its answer.
    Crowd { clients: usize, containers: u32 },
}

/// What a client knows of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Key {
    Name,
    /// All of its 64 digits.
    Id,
}

impl Work {
    pub(super) fn containers(self) -> u32 {
        match self {
            Work::LookUps { containers, .. }
            | Work::Memory { containers }
            | Work::Crowd { containers, .. } => containers,
        }
    }
}

impl suite::Work for Work {
    fn figures(self) -> &'static [Figure] {
        match self {
            Work::LookUps { .. } => &Figure::OF_ROUND_TRIPS,
            Work::Memory { .. } => &[Figure::Resident],
            Work::Crowd { .. } => &[Figure::Served],
        }
    }

    fn measures_memory(self) -> bool {
        matches!(self, Work::Memory { .. })
    }
}

pub(in crate::bench) const LOADS: [Load; 6] = [
    Load {
        name: "name-1",
        title: "1 container, look-ups by name",
        work: look_ups(Key::Name, 1),
    },
    Load {
        name: "id-1",
        title: "1 container, look-ups by full id",
        work: look_ups(Key::Id, 1),
    },
    Load {
        name: "name-500",
        title: "500 containers, look-ups by name",
        work: look_ups(Key::Name, 500),
    },
    Load {
        name: "id-500",
        title: "500 containers, look-ups by full id",
        work: look_ups(Key::Id, 500),
    },
    Load {
        name: "memory",
        title: "500 containers, memory after look-ups",
        work: Work::Memory { containers: 500 },
    },
    Load {
        name: "crowd",
        title: "500 containers, 2000 clients at once",
        work: Work::Crowd {
            clients: 2000,
            containers: 500,
        },
    },
];

const fn look_ups(by: Key, containers: u32) -> Work {
    Work::LookUps { by, containers }
}

/// One that is made up; its number tells all about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Container(u32);

impl Container {
    /// So many, each unlike the others.
    pub(super) fn several(count: u32) -> impl ExactSizeIterator<Item = Container> + Clone {
        (0..count).map(Container)
    }

    /// No part of any id.
    pub(super) fn name(self) -> String {
        format!("name-{:03}", self.0)
    }

    /// 64 digits. Ids begin in many ways, as real ones do: their order is not that of the numbers.
    pub(super) fn id(self) -> String {
        let digits = (u64::from(self.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{digits:016x}").repeat(4)
    }

    /// Process ids are only read from files: there need not be such processes.
    pub(super) fn pid(self) -> u32 {
        100_000 + self.0
    }

    pub(super) fn key(self, by: Key) -> String {
        match by {
            Key::Name => self.name(),
            Key::Id => self.id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn containers_are_told_apart_by_each_of_their_keys() {
        for by in [Key::Name, Key::Id] {
            let keys: BTreeSet<String> = Container::several(500)
                .map(|container| container.key(by))
                .collect();
            assert_eq!(keys.len(), 500);
        }
        assert!(Container::several(500).all(|container| container.id().len() == 64));
    }
}
