//! The command line of `cargo xtask bench PROGRAM`.

use std::time::Duration;

use anyhow::{Context, Result};
use lexopt::prelude::*;

use super::suite::{Contender, Load, Suite, Work, find_contender, find_load};

/// What to measure, and how long.
pub(super) struct Options<S: Suite> {
    pub(super) rounds: usize,
    pub(super) length: Duration,
    pub(super) loads: Vec<Load<S::Work>>,
    pub(super) contenders: Vec<S::Contender>,
    /// The user has named the contenders.
    named: bool,
}

impl<S: Suite> Options<S> {
    /// Reads what follows the program's name; nothing when the user only asked for help.
    pub(super) fn parse(mut args: lexopt::Parser) -> Result<Option<Options<S>>> {
        let mut options = Options {
            rounds: 5,
            length: Duration::from_secs(1),
            loads: Vec::new(),
            contenders: Vec::new(),
            named: false,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("rounds") => options.rounds = parse_rounds(&args.value()?.string()?)?,
                Long("seconds") => options.length = parse_seconds(&args.value()?.string()?)?,
                Long("quick") => {
                    options.rounds = 1;
                    options.length = Duration::from_millis(300);
                }
                Long("load") => {
                    let load = find_load(S::LOADS, &args.value()?.string()?)?;
                    options.loads.push(load);
                }
                Long("contender") => {
                    let contender = find_contender(&args.value()?.string()?)?;
                    options.contenders.push(contender);
                }
                other => return Err(unexpected(other)),
            }
        }
        if options.loads.is_empty() {
            options.loads = S::LOADS.to_vec();
        }
        options.named = !options.contenders.is_empty();
        if !options.named {
            options.contenders = S::Contender::DEFAULT.to_vec();
        }
        options.contenders.sort();
        options.contenders.dedup();
        Ok(Some(options))
    }

    /// Whether `contender` is put through `load`.
    pub(super) fn wants(&self, contender: S::Contender, load: Load<S::Work>) -> bool {
        let possible = !(contender.is_direct() && load.work.measures_memory());
        possible && (self.named || S::wants(contender, load))
    }
}

/// The error for an argument that the bench does not know.
pub(super) fn unexpected(arg: lexopt::Arg<'_>) -> anyhow::Error {
    anyhow::anyhow!("{} (cargo xtask bench --help says more)", arg.unexpected())
}

fn parse_rounds(text: &str) -> Result<usize> {
    let rounds = text
        .parse()
        .ok()
        .filter(|rounds| (1..=1000).contains(rounds));
    rounds.with_context(|| format!("--rounds {text}: not a number from 1 to 1000"))
}

fn parse_seconds(text: &str) -> Result<Duration> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.05..=600.0).contains(seconds));
    let seconds = seconds.with_context(|| format!("--seconds {text}: not from 0.05 to 600"))?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::pmdaroot::Pmdaroot;
    use super::super::pmproxy::{Contender as Who, LOADS, Pmproxy};
    use super::super::pmsocks::Pmsocks;
    use super::super::virtproxyd::Virtproxyd;
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options<Pmproxy>>> {
        Options::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn everything_is_measured_unless_something_is_chosen() {
        let options = parse(&[]).unwrap().unwrap();
        assert_eq!(
            (options.rounds, options.length),
            (5, Duration::from_secs(1))
        );
        assert_eq!(options.loads, LOADS);
        assert_eq!(options.contenders, Who::DEFAULT);
        let args = [
            "--contender=c-d",
            "--contender=direct",
            "--load=idle",
            "--quick",
        ];
        let options = parse(&args).unwrap().unwrap();
        assert_eq!(options.contenders, [Who::Direct, Who::CDeprecated]);
        assert_eq!(options.loads.len(), 1);
        assert_eq!(options.rounds, 1);
    }

    #[test]
    fn contenders_with_tls_have_few_loads_unless_they_are_named() {
        let wants = |args: &[&str], contender, load| {
            let options = parse(args).unwrap().unwrap();
            options.wants(contender, find_load(&LOADS, load).unwrap())
        };
        let ours = Who::OursTls;
        assert!(wants(&[], ours, "16x1200") && wants(&[], ours, "idle"));
        assert!(!wants(&[], ours, "stalled"));
        assert!(wants(&["--contender=ours-tls"], ours, "stalled"));
        assert!(wants(&[], Who::Ours, "stalled"));
        assert!(!wants(&[], Who::Direct, "idle"));
        assert!(!wants(&["--contender=direct-tls"], Who::DirectTls, "idle"));
    }

    fn names_all<S: Suite>() -> bool {
        let loads = S::LOADS.iter().map(|load| load.name);
        let contenders = S::Contender::ALL.iter().map(|contender| contender.key());
        loads.chain(contenders).all(|name| S::USAGE.contains(name))
    }

    #[test]
    fn help_names_every_load_and_contender() {
        assert!(parse(&["--help"]).unwrap().is_none());
        assert!(names_all::<Pmproxy>());
        assert!(names_all::<Virtproxyd>());
        assert!(names_all::<Pmdaroot>());
        assert!(names_all::<Pmsocks>());
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        for bad in [
            "--rounds=0",
            "--rounds=x",
            "--seconds=0",
            "--seconds=nan",
            "--load=x",
            "-x",
        ] {
            let error = parse(&[bad]).map(|_| ()).unwrap_err();
            assert!(!error.to_string().is_empty(), "{bad}");
        }
        assert!(
            parse(&["--contender=nginx"])
                .map(|_| ())
                .unwrap_err()
                .to_string()
                .contains("haproxy")
        );
    }
}
