//! The load generator: a process of its own that puts one load on one contender and prints one line
//! with the sample. The bench starts it on the host where it belongs; nobody else needs to.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use super::super::figures::Sample;
use super::super::suite::{Contender as _, find_contender, find_load};
use super::contender::{Contender, Wrapper};
use super::load::{LOADS, Load, Work};
use super::settings::routes_file;
use super::{connects, decide, dialogue};

/// What the bench tells the load generator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) load: Load,
    pub(super) contender: Contender,
    /// The contender's program, if it has one.
    pub(super) program: Option<PathBuf>,
    /// Where the files are that say where the servers are.
    pub(super) folder: PathBuf,
    /// How long is measured.
    pub(super) length: Duration,
}

impl Job {
    /// The arguments that [`run`] reads.
    pub(super) fn to_args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--load={}", self.load.name),
            format!("--contender={}", self.contender.key()),
            format!("--folder={}", self.folder.display()),
            format!("--seconds={}", self.length.as_secs_f64()),
        ];
        if let Some(program) = &self.program {
            args.push(format!("--program={}", program.display()));
        }
        args
    }

    fn parse(mut args: lexopt::Parser) -> Result<Job> {
        let (mut load, mut contender, mut program, mut folder) = (None, None, None, None);
        let mut length = Duration::from_secs(1);
        while let Some(arg) = args.next()? {
            match arg {
                Long("load") => load = Some(find_load(&LOADS, &args.value()?.string()?)?),
                Long("contender") => {
                    contender = Some(find_contender(&args.value()?.string()?)?);
                }
                Long("program") => program = Some(args.value()?.into()),
                Long("folder") => folder = Some(args.value()?.into()),
                Long("seconds") => {
                    length = args
                        .value()?
                        .parse_with(|s| s.parse().map(Duration::try_from_secs_f64))??;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Job {
            load: load.context("no --load was given")?,
            contender: contender.context("no --contender was given")?,
            program,
            folder: folder.context("no --folder was given")?,
            length,
        })
    }

    fn wrapper(&self) -> Wrapper<'_> {
        Wrapper {
            contender: self.contender,
            program: self.program.as_deref(),
            work: self.load.work,
            folder: &self.folder,
        }
    }

    fn run(&self) -> Result<Sample> {
        let work = self.load.work;
        match (work, self.contender) {
            (Work::Pminfo { .. }, _) => bail!("contenders take turns with pminfo"),
            (Work::Connect { .. }, _) => connects::measure(self.length, |client| {
                let mut command = self.wrapper().command(client.get_program())?;
                command.args(client.get_args());
                Ok(command)
            }),
            (Work::Decide { .. }, Contender::Ours) => {
                let file = routes_file(&self.folder, work.routes());
                decide::measure(&file, self.length)
            }
            (Work::Decide { .. }, _) => bail!("only ours can be asked for a decision"),
        }
    }
}

/// Does the job that the arguments describe, or is a client of one.
pub(super) fn run(args: lexopt::Parser) -> Result<()> {
    let mut first = args.clone();
    match first.next()? {
        Some(Long("connect")) => connects::run_client(first.value()?.parse()?),
        Some(Long("dialogue")) => dialogue::run_client(first.value()?.parse()?),
        _ => {
            println!("{}", Job::parse(args)?.run()?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_command_line() {
        for program in [None, Some("/usr/bin/tsocks".into())] {
            let job = Job {
                load: find_load(&LOADS, "danted").unwrap(),
                contender: Contender::Tsocks,
                program,
                folder: "/tmp/somewhere".into(),
                length: Duration::from_millis(300),
            };
            let parsed = Job::parse(lexopt::Parser::from_args(job.to_args())).unwrap();
            assert_eq!(parsed, job);
        }
    }
}
