//! The loads: what every contender is put through.

use super::super::figures::Figure;
use super::super::suite;

pub(in crate::bench) type Load = suite::Load<Work>;

/// What a load generator does. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Work {
    /// Each connection sends a request, awaits the whole reply, and sends the next.
    RoundTrips { connections: usize, reply: u32 },
    /// Connections that did one round trip and then keep still.
    Idle { connections: usize },
    /// One connection that sends its requests and reads no reply.
    Stalled { requests: usize, reply: u32 },
}

impl suite::Work for Work {
    fn figures(self) -> &'static [Figure] {
        match self {
            Work::RoundTrips { .. } => &Figure::OF_ROUND_TRIPS,
            Work::Idle { .. } => &[Figure::IdleMemory],
            Work::Stalled { .. } => &[Figure::StalledMemory],
        }
    }

    fn measures_memory(self) -> bool {
        match self {
            Work::RoundTrips { .. } => false,
            Work::Idle { .. } | Work::Stalled { .. } => true,
        }
    }
}

/// Whether a load tells what TLS costs: with each, the bench would take twice as long.
pub(super) fn tells_of_tls(load: Load) -> bool {
    ["16x1200", "idle"].contains(&load.name)
}

pub(in crate::bench) const LOADS: [Load; 7] = [
    Load {
        name: "1x1200",
        title: "1 connection, replies of 1200 bytes",
        work: Work::RoundTrips {
            connections: 1,
            reply: 1200,
        },
    },
    Load {
        name: "16x1200",
        title: "16 connections, replies of 1200 bytes",
        work: Work::RoundTrips {
            connections: 16,
            reply: 1200,
        },
    },
    Load {
        name: "128x1200",
        title: "128 connections, replies of 1200 bytes",
        work: Work::RoundTrips {
            connections: 128,
            reply: 1200,
        },
    },
    Load {
        name: "16x64k",
        title: "16 connections, replies of 64 KiB",
        work: Work::RoundTrips {
            connections: 16,
            reply: 64 << 10,
        },
    },
    Load {
        name: "16x1m",
        title: "16 connections, replies of 1 MiB",
        work: Work::RoundTrips {
            connections: 16,
            reply: 1 << 20,
        },
    },
    Load {
        name: "idle",
        title: "2000 idle connections",
        work: Work::Idle { connections: 2000 },
    },
    Load {
        name: "stalled",
        title: "one client that sends 3000 requests for replies of 1 MB and reads nothing",
        work: Work::Stalled {
            requests: 3000,
            reply: 1_000_000,
        },
    },
];

#[cfg(test)]
mod tests {
    use super::super::super::suite::find_load;
    use super::*;

    #[test]
    fn a_load_is_found_by_its_name_and_an_unknown_one_lists_them() {
        for load in LOADS {
            assert_eq!(find_load(&LOADS, load.name).unwrap(), load);
        }
        assert!(
            find_load(&LOADS, "16")
                .unwrap_err()
                .to_string()
                .contains("16x64k, 16x1m")
        );
    }
}
