//! The contenders, and where their programs are.

use std::path::PathBuf;

use anyhow::Result;
use testbed::DEBIAN_PMDAROOT;

use super::super::build_ours;
use super::super::proxy::first_file;
use super::super::suite;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Contender {
    /// The pmdaroot of this workspace.
    Ours,
    /// PCP's own pmdaroot.
    C,
}

impl suite::Contender for Contender {
    const ALL: &'static [Contender] = &[Contender::Ours, Contender::C];
    const DEFAULT: &'static [Contender] = Contender::ALL;
    const REFERENCES: &'static [Contender] = &[Contender::C];

    fn key(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::C => "c",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::C => "C pmdaroot",
        }
    }

    fn is_direct(self) -> bool {
        false
    }

    fn program(self) -> Result<Option<PathBuf>> {
        match self {
            Contender::Ours => build_ours("pmdaroot").map(Some),
            Contender::C => first_file(&[DEBIAN_PMDAROOT]).map(Some),
        }
    }
}
