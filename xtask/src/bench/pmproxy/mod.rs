//! `cargo xtask bench pmproxy`: our pmproxy beside a direct connection and other proxies.

mod certificates;
mod contender;
mod generator;
mod load;
mod peer;
mod secure;
mod secure_link;
mod stalled;
mod stub_server;
mod verdict;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use testbed::Scratch;

use super::figures::Sample;
use super::process::{Stub, generate};
use super::results::Results;
use super::suite::{Suite, Trial};
use super::{Word, run_suite};
use certificates::Certificates;
use generator::Job;
use load::{Load, Work, tells_of_tls};

pub(super) use contender::Contender;
pub(super) use load::LOADS;

const USAGE: &str = "\
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

pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    match Word::take(&mut args)? {
        Some(Word::StubServer) => stub_server::run(args),
        Some(Word::LoadGenerator) => generator::run(args),
        None => run_suite(args, |_| Pmproxy::start()),
    }
}

/// The bench of pmproxy, with the stub server that all of it talks to.
pub(super) struct Pmproxy {
    _stub: Stub,
    address: SocketAddr,
    certificates: Certificates,
    _scratch: Scratch,
}

impl Pmproxy {
    fn start() -> Result<Pmproxy> {
        let scratch = Scratch::new()?;
        let certificates = Certificates::make(&scratch)?;
        let folder = certificates.folder().display();
        let stub = Stub::start("pmproxy", &[format!("--certificates={folder}")])?;
        let port: u16 = stub
            .line
            .parse()
            .context("the stub server did not print its port")?;
        Ok(Pmproxy {
            _stub: stub,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            certificates,
            _scratch: scratch,
        })
    }
}

impl Suite for Pmproxy {
    type Contender = Contender;
    type Work = Work;

    const LOADS: &'static [Load] = &LOADS;
    const USAGE: &'static str = USAGE;

    fn wants(contender: Contender, load: Load) -> bool {
        contender.handshake().is_none() || tells_of_tls(load)
    }

    fn measure(&self, trial: &Trial<'_, Pmproxy>) -> Result<Sample> {
        let contender = trial.contender;
        let started = contender.start(
            trial.program,
            self.address,
            &self.certificates,
            trial.interrupt,
        )?;
        let job = Job {
            load: trial.load,
            peer: started.peer,
            secure: contender
                .handshake()
                .map(|handshake| (handshake, self.certificates.clone())),
            proxy: started.watched(),
            length: trial.length,
        };
        generate("pmproxy", &job.to_args(), job.length, trial.interrupt)
    }

    fn verdicts(results: &Results<Contender>, loads: &[Load]) -> String {
        verdict::lines(results, loads)
    }
}
