//! A run of a bench: rounds in which the contenders take turns, and the report at the end.

use std::path::PathBuf;

use anyhow::Result;

use super::figures::Sample;
use super::options::Options;
use super::proc_fs::Processors;
use super::report;
use super::results::Results;
use super::suite::{Contender, Load, Suite, Trial};
use crate::interrupt::Interrupt;

/// What a run holds on to.
pub(super) struct Rounds<S: Suite> {
    suite: S,
    options: Options<S>,
    /// Those that the machine has, with their programs.
    contenders: Vec<(S::Contender, Option<PathBuf>)>,
    /// Why something was not measured, each reason once.
    missing: Vec<String>,
    results: Results<S::Contender>,
    interrupt: Interrupt,
}

impl<S: Suite> Rounds<S> {
    /// Finds the contenders' programs, or builds them.
    pub(super) fn prepare(suite: S, options: Options<S>, interrupt: Interrupt) -> Rounds<S> {
        let mut rounds = Rounds {
            suite,
            contenders: Vec::new(),
            missing: Vec::new(),
            results: Results::default(),
            interrupt,
            options,
        };
        for &contender in &rounds.options.contenders {
            match contender.program() {
                Ok(program) => rounds.contenders.push((contender, program)),
                Err(error) => rounds
                    .missing
                    .push(format!("{}: {error:#}", contender.name())),
            }
        }
        rounds
    }

    /// Measures everything and prints the tables.
    pub(super) fn run(mut self) -> Result<()> {
        println!("{}", self.machine_facts());
        let start = Processors::now()?;
        for round in 0..self.options.rounds {
            self.run_one(round)?;
        }
        let names: Vec<S::Contender> = self.contenders.iter().map(|(name, _)| *name).collect();
        let verdicts = S::verdicts(&self.results, &self.options.loads);
        let tables = report::tables(&self.results, &self.options.loads, &names);
        print!("{}", report::render(&tables, &verdicts, &self.missing));
        let stolen = Processors::now()?.percent_stolen_since(start);
        println!(
            "\nThe host gave {stolen:.0} % of the processors' time to others meanwhile (steal)."
        );
        Ok(())
    }

    /// Every load, every contender; another contender begins in each round.
    fn run_one(&mut self, round: usize) -> Result<()> {
        for load in self.options.loads.clone() {
            eprintln!(
                "round {} of {}: {}",
                round + 1,
                self.options.rounds,
                load.title
            );
            let mut order = self.contenders.clone();
            order.retain(|(contender, _)| self.options.wants(*contender, load));
            let first = round % order.len().max(1);
            order.rotate_left(first);
            let trials = order.iter().map(|(contender, program)| Trial {
                load,
                contender: *contender,
                program: program.as_deref(),
                length: self.options.length,
                interrupt: &self.interrupt,
            });
            let trials: Vec<_> = trials.collect();
            let measured = match self.suite.measure_in_turns(&trials) {
                Some(measured) => measured,
                None => trials
                    .iter()
                    .map(|trial| self.suite.measure(trial))
                    .take_while(|_| self.interrupt.check().is_ok())
                    .collect(),
            };
            self.interrupt.check()?;
            for ((contender, _), measured) in order.into_iter().zip(measured) {
                self.keep(load, contender, measured);
            }
        }
        Ok(())
    }

    /// A contender that fails under a load is worth a line, not the end of the bench.
    fn keep(&mut self, load: Load<S::Work>, contender: S::Contender, measured: Result<Sample>) {
        let sample = measured.map_err(|error| {
            let reason = format!("{}, {}: {error:#}", contender.name(), load.title);
            if !self.missing.contains(&reason) {
                self.missing.push(reason);
            }
        });
        self.results.push(load, contender, sample.ok());
    }

    fn machine_facts(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let system = rustix::system::uname();
        format!(
            "{} {}; {cores} cores, shared by program, load generator and server, nothing pinned; \
             rounds: {}, seconds for each measurement: {}.",
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy(),
            self.options.rounds,
            self.options.length.as_secs_f64(),
        )
    }
}
