//! `cargo xtask bench virtproxyd`: our virtproxyd beside a direct connection and libvirt's own one.

mod contender;
mod generator;
mod load;
mod peer;
mod stream;
mod stub_server;
mod verdict;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testbed::{Libvirtd, Scratch};

use super::figures::Sample;
use super::process::{Stub, generate};
use super::results::Results;
use super::suite::{Suite, Trial};
use super::{Word, run_suite};
use contender::Contender;
use generator::Job;
use load::{LOADS, Load, Server, Work};
use peer::Peer;

const USAGE: &str = "\
Usage: cargo xtask bench virtproxyd [option ...]

Compares the contenders that this machine has: a direct connection, our virtproxyd and libvirt's own
one. Behind them is a real libvirtd of the bench, with its test driver, or a stub server that answers
at once. Builds what it needs in release mode, takes some minutes, prints markdown tables. For the
real libvirtd, it has to be run as root.

  --rounds N         rounds in which the contenders take turns (default 5)
  --seconds S        length of a measurement of calls or of a stream (default 1.0)
  --quick            the same as --rounds 1 --seconds 0.3
  --load NAME        only this load; may repeat:
                     1, 8, 128: so many connections make the cheapest call
                     stub-8, stub-128: the same with the stub server
                     stream: downloads of 256 MiB
                     crowd: memory of 2000 connections, which are idle first, and then busy
                     stalled: memory behind a client that reads nothing of a download
  --contender NAME   only this contender; may repeat: direct, ours, c";

pub(super) fn run(mut args: lexopt::Parser) -> Result<()> {
    match Word::take(&mut args)? {
        Some(Word::StubServer) => stub_server::run(args),
        Some(Word::LoadGenerator) => generator::run(args),
        None => run_suite(args, |_| Virtproxyd::start()),
    }
}

/// The bench of virtproxyd, with the daemons that are behind the contenders.
pub(super) struct Virtproxyd {
    /// Or why there is none.
    libvirtd: Result<RealDaemon, String>,
    _stub: Stub,
    stub_socket: PathBuf,
    _scratch: Scratch,
}

/// A private libvirtd with a volume to download.
struct RealDaemon {
    daemon: Libvirtd,
    volume: PathBuf,
}

/// No limit of libvirtd's is met, and there is a worker for each connection of the smaller loads.
const LIBVIRTD_CONF: &str = "\
max_clients = 10000
max_queued_clients = 1000
max_anonymous_clients = 1000
max_workers = 20
max_client_requests = 100
";

impl Virtproxyd {
    fn start() -> Result<Virtproxyd> {
        let scratch = Scratch::new()?;
        let stub_socket = scratch.join("stub");
        let stub = Stub::start(
            "virtproxyd",
            &[format!("--socket={}", stub_socket.display())],
        )?;
        let libvirtd = RealDaemon::start().map_err(|error| format!("{error:#}"));
        Ok(Virtproxyd {
            libvirtd,
            _stub: stub,
            stub_socket,
            _scratch: scratch,
        })
    }

    /// The daemon's socket.
    fn socket(&self, server: Server) -> Result<PathBuf> {
        match (server, &self.libvirtd) {
            (Server::Stub, _) => Ok(self.stub_socket.clone()),
            (Server::Libvirtd, Ok(real)) => Ok(real.daemon.socket()),
            (Server::Libvirtd, Err(reason)) => {
                Err(anyhow::anyhow!("there is no libvirtd: {reason}"))
            }
        }
    }

    /// The file of the volume; streams have it only where there is a libvirtd.
    fn volume(&self) -> Result<String> {
        let volume = match &self.libvirtd {
            Ok(real) => &real.volume,
            Err(_) => Path::new(""),
        };
        let text = volume.to_str();
        text.map(ToOwned::to_owned)
            .with_context(|| format!("{} is not UTF-8", volume.display()))
    }
}

impl RealDaemon {
    fn start() -> Result<RealDaemon> {
        let daemon = Libvirtd::builder().config(LIBVIRTD_CONF).start()?;
        let folder = daemon.folder().join("pool");
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let volume = folder.join("volume");
        let peer = Peer {
            socket: daemon.socket(),
            uri: "storage:///system".into(),
        };
        stream::prepare(&peer, &folder, &volume).context("cannot prepare the streams")?;
        Ok(RealDaemon { daemon, volume })
    }
}

impl Suite for Virtproxyd {
    type Contender = Contender;
    type Work = Work;

    const LOADS: &'static [Load] = &LOADS;
    const USAGE: &'static str = USAGE;

    fn wants(_: Contender, _: Load) -> bool {
        true
    }

    fn measure(&self, trial: &Trial<'_, Virtproxyd>) -> Result<Sample> {
        let work = trial.load.work;
        let server = self.socket(work.server())?;
        let started = trial
            .contender
            .start(trial.program, &server, trial.interrupt)?;
        let (scheme, path) = match work {
            Work::Calls { .. } | Work::Crowd { .. } => ("test", "/default"),
            Work::Stream | Work::Stalled => ("storage", "/system"),
        };
        let job = Job {
            load: trial.load,
            peer: started.peer(scheme, path),
            volume: self.volume()?,
            proxy: started.watched(),
            length: trial.length,
        };
        generate("virtproxyd", &job.to_args(), job.length, trial.interrupt)
    }

    fn verdicts(results: &Results<Contender>, loads: &[Load]) -> String {
        verdict::lines(results, loads)
    }
}

#[cfg(test)]
mod tests;
