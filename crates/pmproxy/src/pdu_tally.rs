//! How many PDUs passed, by direction and type. One tally for each loop of the relay, which alone
//! writes it; readers add them up.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use gate::relay::Side;
use pcp_proto::PduType;

/// The first of the types, which have consecutive numbers but for a gap.
const FIRST: u32 = PduType::ERROR.0;

/// Places for the types that have names, and one for all others.
const KINDS: usize = (PduType::DESCS.0 - FIRST + 2) as usize;

/// The place of types without a name.
const OTHER: usize = KINDS - 1;

/// What one loop has seen pass.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct PduTally {
    from_clients: [AtomicU64; KINDS],
    from_servers: [AtomicU64; KINDS],
}

impl Default for PduTally {
    fn default() -> PduTally {
        let zeros = || array::from_fn(|_| AtomicU64::new(0));
        PduTally {
            from_clients: zeros(),
            from_servers: zeros(),
        }
    }
}

impl PduTally {
    /// Counts a PDU from `side`. Only the loop's own thread may call this.
    pub(crate) fn count(&self, side: Side, pdu_type: PduType) {
        let place = pdu_type.0.wrapping_sub(FIRST) as usize;
        let counter = &self.from(side)[place.min(OTHER)];
        let count = counter.load(Ordering::Relaxed).wrapping_add(1);
        counter.store(count, Ordering::Relaxed);
    }

    fn from(&self, side: Side) -> &[AtomicU64; KINDS] {
        match side {
            Side::Client => &self.from_clients,
            Side::Server => &self.from_servers,
        }
    }
}

/// The sum of several tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PduCounts {
    from_clients: [u64; KINDS],
    from_servers: [u64; KINDS],
}

impl PduCounts {
    /// Adds up what all loops have seen.
    pub(crate) fn sum<'a>(tallies: impl Iterator<Item = &'a PduTally>) -> PduCounts {
        let mut sum = PduCounts::default();
        let add = |sum: &mut [u64; KINDS], counters: &[AtomicU64; KINDS]| {
            for (sum, counter) in sum.iter_mut().zip(counters) {
                *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
            }
        };
        for tally in tallies {
            add(&mut sum.from_clients, &tally.from_clients);
            add(&mut sum.from_servers, &tally.from_servers);
        }
        sum
    }

    /// The counts of PDUs from `side`, with the names of their types. Those without a name, which
    /// newer peers may use, count together as the last one.
    pub(crate) fn from(&self, side: Side) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let counts = match side {
            Side::Client => self.from_clients,
            Side::Server => self.from_servers,
        };
        PduCounts::names()
            .zip(counts)
            .filter_map(|(name, count)| Some((name?, count)))
    }

    fn names() -> impl Iterator<Item = Option<&'static str>> {
        let named = (FIRST..=PduType::DESCS.0).map(|number| PduType(number).name());
        named.chain([Some("other")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loops_counted_is_added_up_by_direction_and_type() {
        let (one, two) = (PduTally::default(), PduTally::default());
        one.count(Side::Client, PduType::FETCH);
        two.count(Side::Client, PduType::FETCH);
        two.count(Side::Server, PduType::DESCS);
        for unknown in [PduType(0), PduType(0x7018), PduType(u32::MAX)] {
            one.count(Side::Server, unknown);
        }
        let sum = PduCounts::sum([&one, &two].into_iter());
        let seen = |side| -> Vec<_> { sum.from(side).filter(|(_, count)| *count > 0).collect() };
        assert_eq!(seen(Side::Client), [("FETCH", 2)]);
        assert_eq!(seen(Side::Server), [("DESCS", 1), ("other", 3)]);
        let names: Vec<_> = sum.from(Side::Client).map(|(name, _)| name).collect();
        assert_eq!(names.len(), PduType::ALL.len() + 1);
    }
}
