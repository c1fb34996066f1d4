//! What the bench of one program brings along: its contenders, its loads, and how one of the former
//! is put through one of the latter. What all of them share works with these traits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::figures::{Figure, Sample};
use super::results::Results;
use crate::interrupt::Interrupt;

/// What competes: the programs between load generator and server, and no program at all.
pub(super) trait Contender: Copy + Ord + 'static {
    /// In the order of the tables.
    const ALL: &'static [Self];

    /// Those that compete when `--contender` does not choose.
    const DEFAULT: &'static [Self];

    /// Those that the others are measured by.
    const REFERENCES: &'static [Self];

    /// What `--contender` calls it.
    fn key(self) -> &'static str;

    /// What the tables call it.
    fn name(self) -> &'static str;

    /// Whether there is no proxy at all.
    fn is_direct(self) -> bool;

    /// Its program, if the machine has it; a direct connection needs none.
    fn program(self) -> Result<Option<PathBuf>>;
}

/// What a load generator does.
pub(super) trait Work: Copy + 'static {
    /// What is measured, in the order of the columns. Of a load that has a table of its own, the
    /// first is that by which contenders are compared.
    fn figures(self) -> &'static [Figure];

    /// Whether it is the proxy's memory that is measured, so that there must be a proxy.
    fn measures_memory(self) -> bool;
}

/// One load of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load<W> {
    /// What `--load` calls it.
    pub(super) name: &'static str,
    /// What the tables call it.
    pub(super) title: &'static str,
    /// What the load generator does.
    pub(super) work: W,
}

/// The bench of one program.
pub(super) trait Suite {
    type Contender: Contender;
    type Work: Work;

    /// What every contender is put through.
    const LOADS: &'static [Load<Self::Work>];

    /// What `--help` prints.
    const USAGE: &'static str;

    /// Whether `contender` is put through `load` even if the user has not named it.
    fn wants(contender: Self::Contender, load: Load<Self::Work>) -> bool;

    /// One measurement, with a proxy that is started for it, so that none pays for the last one.
    fn measure(&self, trial: &Trial<'_, Self>) -> Result<Sample>
    where
        Self: Sized;

    /// All contenders of a round under one load, if they are to take turns within the measurement. A
    /// sample for each, in their order.
    fn measure_in_turns(&self, _: &[Trial<'_, Self>]) -> Option<Vec<Result<Sample>>>
    where
        Self: Sized,
    {
        None
    }

    /// A line for each requirement that was measured.
    fn verdicts(results: &Results<Self::Contender>, loads: &[Load<Self::Work>]) -> String;
}

/// One contender under one load.
pub(super) struct Trial<'a, S: Suite> {
    pub(super) load: Load<S::Work>,
    pub(super) contender: S::Contender,
    pub(super) program: Option<&'a Path>,
    /// How long is measured.
    pub(super) length: Duration,
    pub(super) interrupt: &'a Interrupt,
}

/// The load that `--load` calls `name`.
pub(super) fn find_load<W: Work>(loads: &[Load<W>], name: &str) -> Result<Load<W>> {
    let found = loads.iter().find(|load| load.name == name);
    found.copied().with_context(|| {
        let names: Vec<&str> = loads.iter().map(|load| load.name).collect();
        format!("there is no load {name:?}; there are {}", names.join(", "))
    })
}

/// The contender that `--contender` calls `key`.
pub(super) fn find_contender<C: Contender>(key: &str) -> Result<C> {
    let found = C::ALL.iter().find(|contender| contender.key() == key);
    found.copied().with_context(|| {
        let keys: Vec<&str> = C::ALL.iter().map(|contender| contender.key()).collect();
        format!(
            "there is no contender {key:?}; there are {}",
            keys.join(", ")
        )
    })
}
