//! The command line of `cargo xtask bench pmproxy`.

use std::time::Duration;

use anyhow::{Context, Result};
use lexopt::prelude::*;

use super::contender::Contender;
use super::load::{self, LOADS, Load};

pub(super) const USAGE: &str = "\
Usage: cargo xtask bench pmproxy [option ...]

Compares the contenders that this machine has: a direct connection, our pmproxy, PCP's own one
and haproxy. Builds what it needs in release mode, takes some minutes, prints markdown tables.

  --rounds N         rounds in which the contenders take turns (default 5)
  --seconds S        length of a measurement of round trips (default 1.0)
  --quick            the same as --rounds 1 --seconds 0.3
  --load NAME        only this load; may repeat:
                     1x1200, 16x1200, 128x1200, 16x64k, 16x1m, idle, stalled
  --contender NAME   only this contender; may repeat: direct, ours, ours-uncounted, c, c-d, haproxy
                     (only when named: ours-uncounted, which counts no PDUs, to be paired with
                     ours; and c-d, PCP's one with -d, its older mode)
                     with TLS: direct-tls; ours-tls and ours-door, where it begins after the
                     credentials or at once (these three: only under the loads 16x1200 and idle,
                     unless named); ours-through and c-through, which have no certificate and pass
                     it through (only when named)";

/// What to measure, and how long.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) rounds: usize,
    pub(super) length: Duration,
    pub(super) loads: Vec<Load>,
    pub(super) contenders: Vec<Contender>,
    /// The user has named the contenders.
    named: bool,
}

impl Options {
    /// Reads what follows `bench pmproxy`; nothing when the user only asked for help.
    pub(super) fn parse(mut args: lexopt::Parser) -> Result<Option<Options>> {
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
                Long("load") => options.loads.push(load::find(&args.value()?.string()?)?),
                Long("contender") => {
                    options
                        .contenders
                        .push(find_contender(&args.value()?.string()?)?);
                }
                other => return Err(unexpected(other)),
            }
        }
        if options.loads.is_empty() {
            options.loads = LOADS.to_vec();
        }
        options.named = !options.contenders.is_empty();
        if !options.named {
            options.contenders = Contender::DEFAULT.to_vec();
        }
        options.contenders.sort();
        options.contenders.dedup();
        Ok(Some(options))
    }

    /// Whether `contender` is put through `load`.
    pub(super) fn wants(&self, contender: Contender, load: Load) -> bool {
        let possible = !(contender.is_direct() && load.work.measures_memory());
        let plain = contender.handshake().is_none();
        possible && (self.named || plain || load.tells_of_tls())
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

fn find_contender(key: &str) -> Result<Contender> {
    let found = Contender::ALL
        .into_iter()
        .find(|contender| contender.key() == key);
    found.with_context(|| {
        let keys = Contender::ALL.map(Contender::key).join(", ");
        format!("there is no contender {key:?}; there are {keys}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>> {
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
        assert_eq!(options.contenders, Contender::DEFAULT);
        let args = [
            "--contender=c-d",
            "--contender=direct",
            "--load=idle",
            "--quick",
        ];
        let options = parse(&args).unwrap().unwrap();
        assert_eq!(
            options.contenders,
            [Contender::Direct, Contender::CDeprecated]
        );
        assert_eq!(options.loads.len(), 1);
        assert_eq!(options.rounds, 1);
    }

    #[test]
    fn contenders_with_tls_have_few_loads_unless_they_are_named() {
        let wants = |args: &[&str], contender, load| {
            let options = parse(args).unwrap().unwrap();
            options.wants(contender, load::find(load).unwrap())
        };
        let ours = Contender::OursTls;
        assert!(wants(&[], ours, "16x1200") && wants(&[], ours, "idle"));
        assert!(!wants(&[], ours, "stalled"));
        assert!(wants(&["--contender=ours-tls"], ours, "stalled"));
        assert!(wants(&[], Contender::Ours, "stalled"));
        assert!(!wants(&[], Contender::Direct, "idle"));
        assert!(!wants(
            &["--contender=direct-tls"],
            Contender::DirectTls,
            "idle"
        ));
    }

    #[test]
    fn help_names_every_load_and_contender() {
        assert!(parse(&["--help"]).unwrap().is_none());
        assert!(LOADS.iter().all(|load| USAGE.contains(load.name)));
        assert!(
            Contender::ALL
                .iter()
                .all(|contender| USAGE.contains(contender.key()))
        );
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
                .unwrap_err()
                .to_string()
                .contains("haproxy")
        );
        let _ = find_contender("direct").unwrap();
    }
}
