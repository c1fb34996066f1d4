//! The loads: what every contender is put through.

use super::super::figures::Figure;
use super::super::suite;

pub(in crate::bench) type Load = suite::Load<Work>;

/// Who answers behind the contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Server {
    /// A real libvirtd.
    Libvirtd,
    /// The stub server, which costs so little that a proxy's own cost shows.
    Stub,
}

/// What a load generator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Work {
    /// Each connection makes the cheapest call, awaits the reply, and calls again.
    Calls { connections: usize, server: Server },
    /// A volume of [`VOLUME`] bytes comes as a stream, again and again.
    Stream,
    /// Connections that made one call and then keep still; after that, all call at once.
    Crowd { connections: usize },
    /// One client that has a volume of [`VOLUME`] bytes sent and reads nothing.
    Stalled,
}

/// The size of the volume that streams are made of, in bytes.
pub(super) const VOLUME: u64 = 256 << 20;

impl Work {
    pub(super) fn server(self) -> Server {
        match self {
            Work::Calls { server, .. } => server,
            Work::Stream | Work::Crowd { .. } | Work::Stalled => Server::Libvirtd,
        }
    }
}

impl suite::Work for Work {
    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Calls { .. } => &Figure::OF_ROUND_TRIPS,
            Work::Stream => &[Figure::Throughput, Figure::StreamCpu],
            Work::Crowd { .. } => &[Figure::IdleMemory, Figure::BusyMemory],
            Work::Stalled => &[Figure::StalledMemory],
        }
    }

    fn measures_memory(self) -> bool {
        match self {
            Work::Calls { .. } | Work::Stream => false,
            Work::Crowd { .. } | Work::Stalled => true,
        }
    }
}

pub(super) const LOADS: [Load; 8] = [
    Load {
        name: "1",
        title: "1 connection, the cheapest call to a real libvirtd",
        work: calls(1, Server::Libvirtd),
    },
    Load {
        name: "8",
        title: "8 connections, the cheapest call to a real libvirtd",
        work: calls(8, Server::Libvirtd),
    },
    Load {
        name: "128",
        title: "128 connections, the cheapest call to a real libvirtd",
        work: calls(128, Server::Libvirtd),
    },
    Load {
        name: "stub-8",
        title: "8 connections, the cheapest call to a stub that answers at once",
        work: calls(8, Server::Stub),
    },
    Load {
        name: "stub-128",
        title: "128 connections, the cheapest call to a stub that answers at once",
        work: calls(128, Server::Stub),
    },
    Load {
        name: "stream",
        title: "a stream of 256 MiB from a real libvirtd",
        work: Work::Stream,
    },
    Load {
        name: "crowd",
        title: "2000 connections to a real libvirtd, first idle, then busy",
        work: Work::Crowd { connections: 2000 },
    },
    Load {
        name: "stalled",
        title: "one client that reads nothing of a stream of 256 MiB",
        work: Work::Stalled,
    },
];

const fn calls(connections: usize, server: Server) -> Work {
    Work::Calls {
        connections,
        server,
    }
}
