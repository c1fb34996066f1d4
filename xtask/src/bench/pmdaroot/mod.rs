//! `cargo xtask bench pmdaroot`: our pmdaroot beside PCP's own one, each under a pmcd of the bench.

mod client;
mod contender;
mod generator;
mod load;
mod verdict;

use anyhow::{Result, bail};
use testbed::PmdaRoot;

use super::figures::Sample;
use super::process::generate;
use super::results::Results;
use super::suite::{Suite, Trial};
use super::{Word, run_suite};
use contender::Contender;
use generator::Job;
use load::{Container, LOADS, Load, Work};

const USAGE: &str = "\
Usage: cargo xtask bench pmdaroot [option ...]

Compares our pmdaroot and PCP's own one. Each is run by a pmcd of the bench, with containers of Docker
that are made up, and is asked for the process ids of all of them in turn. Builds what it needs in
release mode, prints markdown tables. It has to be run as root.

  --rounds N         rounds in which the contenders take turns (default 5)
  --seconds S        length of a measurement of look-ups (default 1.0)
  --quick            the same as --rounds 1 --seconds 0.3
  --load NAME        only this load; may repeat:
                     name-1, name-500: look-ups by name with so many containers
                     id-1, id-500: the same by full id
                     memory: what it holds after look-ups, with 500 containers
                     crowd: 2000 clients at once (only for ours, unless named)
  --contender NAME   only this contender; may repeat: ours, c";

pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    match Word::take(&mut args)? {
        Some(Word::StubServer) => bail!("no server is behind a pmdaroot"),
        Some(Word::LoadGenerator) => generator::run(args),
        None => run_suite(args, |_| Ok(Pmdaroot)),
    }
}

/// The bench of pmdaroot, which needs nothing that lasts.
pub(super) struct Pmdaroot;

impl Suite for Pmdaroot {
    type Contender = Contender;
    type Work = Work;

    const LOADS: &'static [Load] = &LOADS;
    const USAGE: &'static str = USAGE;

    fn wants(contender: Contender, load: Load) -> bool {
        contender == Contender::Ours || !matches!(load.work, Work::Crowd { .. })
    }

    fn measure(&self, trial: &Trial<'_, Pmdaroot>) -> Result<Sample> {
        let Some(program) = trial.program else {
            bail!("there is no program");
        };
        let root = PmdaRoot::start(program)?;
        for container in Container::several(trial.load.work.containers()) {
            root.docker_container(&container.id(), &container.name(), container.pid())?;
        }
        let job = Job {
            load: trial.load,
            socket: root.socket(),
            length: trial.length,
        };
        generate("pmdaroot", &job.to_args(), job.length, trial.interrupt)
    }

    fn verdicts(results: &Results<Contender>, loads: &[Load]) -> String {
        verdict::lines(results, loads)
    }
}
