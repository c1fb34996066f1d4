//! How many connections each pmcd has and had. Clients name what they like, so that only so many
//! targets are told apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pcp_proto::greeting::Target;

/// Targets that are told apart; the rest counts together.
const MOST: usize = 1000;

/// Connections to targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    known: HashMap<Target, Count>,
    other: Count,
    /// Counts connections that ended.
    clock: u64,
}

/// The connections of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Those that there are.
    pub(crate) now: u64,
    /// Those that there ever were.
    pub(crate) ever: u64,
    /// When the latest one ended, on the table's clock.
    ended: u64,
}

/// A connection to a target, which counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    targets: Targets,
    /// None if it counts with the rest.
    target: Option<Target>,
}

impl Targets {
    /// Notes a connection. Where there are too many targets, one to which there is no connection any
    /// more makes room, the one that ended first.
    pub(crate) fn connect(&self, target: &Target) -> Connection {
        let mut table = self.lock();
        let has_room = table.known.contains_key(target) || table.make_room();
        let target = has_room.then(|| target.clone());
        let count = match &target {
            Some(target) => table.known.entry(target.clone()).or_default(),
            None => &mut table.other,
        };
        count.now += 1;
        count.ever += 1;
        Connection {
            targets: self.clone(),
            target,
        }
    }

    /// The counts of all that are told apart, and of the rest.
    pub(crate) fn read(&self) -> (Vec<(Target, Count)>, Count) {
        let table = self.lock();
        let known = table.known.iter();
        let known = known.map(|(target, count)| (target.clone(), *count));
        (known.collect(), table.other)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether there is room for one more target. What was counted for the one that makes room goes
    /// to the rest, so that no connection is lost.
    fn make_room(&mut self) -> bool {
        if self.known.len() < MOST {
            return true;
        }
        let ended = self.known.iter().filter(|(_, count)| count.now == 0);
        let Some((target, count)) = ended.min_by_key(|(_, count)| count.ended) else {
            return false;
        };
        self.other.ever += count.ever;
        let target = target.clone();
        self.known.remove(&target).is_some()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.targets.lock();
        table.clock += 1;
        let clock = table.clock;
        let count = match &self.target {
            Some(target) => table.known.get_mut(target),
            None => Some(&mut table.other),
        };
        if let Some(count) = count {
            count.now -= 1;
            count.ended = clock;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    fn target(number: usize) -> Target {
        Target::new(&format!("host{number}"), NonZeroU16::MIN).unwrap()
    }

    fn find(targets: &Targets, target: &Target) -> Option<(u64, u64)> {
        let (known, _) = targets.read();
        let found = known.into_iter().find(|(known, _)| known == target);
        found.map(|(_, count)| (count.now, count.ever))
    }

    #[test]
    fn connections_are_counted_for_their_target() {
        let targets = Targets::default();
        let first = targets.connect(&target(1));
        let _second = targets.connect(&target(1));
        drop(first);
        assert_eq!(find(&targets, &target(1)), Some((1, 2)));
        assert_eq!(targets.read().1, Count::default());
    }

    #[test]
    fn endless_targets_make_no_endless_table_and_those_in_use_stay() {
        let targets = Targets::default();
        let _held: Vec<_> = (0..MOST - 1)
            .map(|number| targets.connect(&target(number)))
            .collect();
        for number in MOST..MOST + 100 {
            drop(targets.connect(&target(number)));
        }
        let (known, other) = targets.read();
        assert_eq!((known.len(), other.now, other.ever), (MOST, 0, 99));
        assert!((0..MOST - 1).all(|number| find(&targets, &target(number)) == Some((1, 1))));

        let _full = targets.connect(&target(MOST));
        let surplus = targets.connect(&target(MOST + 1));
        let (known, other) = targets.read();
        assert_eq!((known.len(), other.now, other.ever), (MOST, 1, 101));
        drop(surplus);
        assert_eq!(targets.read().1.now, 0);
    }

    #[test]
    fn the_target_that_ended_first_makes_room() {
        let targets = Targets::default();
        let connections: Vec<_> = (0..MOST)
            .map(|number| targets.connect(&target(number)))
            .collect();
        for connection in connections.into_iter().rev() {
            drop(connection);
        }
        drop(targets.connect(&target(MOST)));
        assert_eq!(find(&targets, &target(MOST - 1)), None);
        assert_eq!(find(&targets, &target(0)), Some((0, 1)));
    }
}
