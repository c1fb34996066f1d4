//! The loads: what every contender is put through.

use super::super::figures::Figure;
use super::super::suite;
use super::settings::{MANY, Routes, Way};
use super::sides::Server;

pub(in crate::bench) type Load = suite::Load<Work>;

/// What a load generator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Work {
    /// Runs pminfo, or the bare dialogue, one after the other.
    Pminfo { server: Server, lines: usize },
    /// Connections over a direct route.
    Connect { lines: usize },
    /// Decisions by routes, without any connection.
    Decide { lines: usize },
}

impl Work {
    /// The routes that ours has for it.
    pub(super) fn routes(self) -> Routes {
        match self {
            Work::Pminfo { lines, .. } => Routes::new(lines, Way::Sockd),
            Work::Connect { lines } | Work::Decide { lines } => Routes::new(lines, Way::Direct),
        }
    }

    /// The server that contenders are told of, whether it is needed or not.
    pub(super) fn server(self) -> Server {
        match self {
            Work::Pminfo { server, .. } => server,
            Work::Connect { .. } | Work::Decide { .. } => Server::Microsocks,
        }
    }
}

impl suite::Work for Work {
    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Pminfo { .. } | Work::Decide { .. } => &[Figure::P50, Figure::P99],
            Work::Connect { .. } => &[Figure::P50, Figure::P99, Figure::First],
        }
    }

    fn measures_memory(self) -> bool {
        false
    }
}

pub(in crate::bench) const LOADS: [Load; 6] = [
    Load {
        name: "microsocks",
        title: "pminfo through microsocks",
        work: pminfo(Server::Microsocks, 1),
    },
    Load {
        name: "danted",
        title: "pminfo through danted",
        work: pminfo(Server::Danted, 1),
    },
    Load {
        name: "lines",
        title: "pminfo through danted, 1000 lines of routes",
        work: pminfo(Server::Danted, MANY),
    },
    Load {
        name: "connect-1",
        title: "connect over a direct route, 1 line of routes",
        work: Work::Connect { lines: 1 },
    },
    Load {
        name: "connect-1000",
        title: "connect over a direct route, 1000 lines of routes",
        work: Work::Connect { lines: MANY },
    },
    Load {
        name: "decide",
        title: "a decision by 1000 lines of routes",
        work: Work::Decide { lines: MANY },
    },
];

const fn pminfo(server: Server, lines: usize) -> Work {
    Work::Pminfo { server, lines }
}
