//! `cargo xtask bench pmsocks`: our pmsocks beside tsocks and proxychains4, through real SOCKS
//! servers on a firewall of the bench.

mod connects;
mod contender;
mod decide;
mod dialogue;
mod generator;
mod load;
mod settings;
mod sides;
mod timing;
mod turns;
mod verdict;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::figures::Sample;
use super::process::generate;
use super::proxy::temporary_folder;
use super::results::Results;
use super::suite::{Suite, Trial};
use super::{Word, run_suite};
use contender::Contender;
use generator::Job;
use load::{LOADS, Load, Work};
use sides::Sides;

const USAGE: &str = "\
Usage: cargo xtask bench pmsocks [option ...]

Compares our pmsocks with tsocks and proxychains4. A client's host, a firewall and the host of a pmcd
are networks of the bench; only the SOCKS servers on the firewall reach both sides. The client is the
real pminfo, and what is measured is the time from its start to its end. \"direct\" is pminfo on the
firewall itself, which has a route to pmcd; \"bare dialogue\" is connecting through the SOCKS server
with blocking calls and no client, as long after the connection before as pminfo does. Contenders take
turns after each pminfo; a turn in which the host of a virtual machine took a processor away does not
count. Builds what it needs as packages do, prints markdown tables. It has to be run as root.

  --rounds N         rounds in which the contenders take turns (default 5)
  --seconds S        length of a measurement (default 1.0)
  --quick            the same as --rounds 1 --seconds 0.3
  --load NAME        only this load; may repeat:
                     microsocks, danted: pminfo through this server
                     lines: pminfo through danted, with 1000 lines of routes (only ours)
                     connect-1, connect-1000: connections over a direct route, with so many lines of
                     routes; \"first\" is the first one of a program
                     decide: nothing but the decision by 1000 lines (only ours)
  --contender NAME   only this contender; may repeat:
                     direct, dialogue, ours, library (without the launcher), supervise,
                     tsocks, proxychains4";

pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    match Word::take(&mut args)? {
        Some(Word::StubServer) => bail!("only real servers are behind a pmsocks"),
        Some(Word::LoadGenerator) => generator::run(args),
        None => run_suite(args, |_| Pmsocks::start()),
    }
}

/// The bench of pmsocks, with the servers that it needs.
pub(super) struct Pmsocks {
    sides: Sides,
    /// What contenders are told.
    settings: TempDir,
}

impl Pmsocks {
    fn start() -> Result<Pmsocks> {
        let settings = temporary_folder()?;
        settings::write_all(settings.path())?;
        Ok(Pmsocks {
            sides: Sides::start()?,
            settings,
        })
    }
}

impl Suite for Pmsocks {
    type Contender = Contender;
    type Work = Work;

    const LOADS: &'static [Load] = &LOADS;
    const USAGE: &'static str = USAGE;

    fn wants(contender: Contender, load: Load) -> bool {
        match (load.work, contender) {
            (_, Contender::Ours) => true,
            (Work::Decide { .. }, _) => false,
            (Work::Connect { .. }, Contender::Dialogue) => false,
            (Work::Connect { .. }, Contender::Direct) => true,
            (Work::Pminfo { lines, .. } | Work::Connect { lines }, _) => lines == 1,
        }
    }

    fn measure(&self, trial: &Trial<'_, Pmsocks>) -> Result<Sample> {
        let job = Job {
            load: trial.load,
            contender: trial.contender,
            program: trial.program.map(Into::into),
            folder: self.settings.path().to_owned(),
            length: trial.length,
        };
        let host = self.sides.wall.inside();
        host.enter(|| generate("pmsocks", &job.to_args(), job.length, trial.interrupt))?
    }

    fn measure_in_turns(&self, trials: &[Trial<'_, Pmsocks>]) -> Option<Vec<Result<Sample>>> {
        let work = trials.first()?.load.work;
        let is_pminfo = matches!(work, Work::Pminfo { .. });
        is_pminfo.then(|| turns::measure(&self.sides.wall, self.settings.path(), trials))
    }

    fn verdicts(results: &Results<Contender>, loads: &[Load]) -> String {
        verdict::lines(results, loads)
    }
}
