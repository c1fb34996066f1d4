//! The load generator: a process of its own that puts one load on one contender and prints one
//! line with the sample. The bench starts it; nobody else needs to.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use super::super::figures::Sample;
use super::super::proc_fs::Watched;
use super::super::suite::find_load;
use super::super::{closed_loop, memory};
use super::load::{LOADS, Load, Work};
use super::peer::Peer;
use super::stream;
use super::wire::exchange;

/// What the bench tells the load generator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) load: Load,
    pub(super) peer: Peer,
    /// The file of the volume that streams are made of.
    pub(super) volume: String,
    /// The process of the proxy, if there is one.
    pub(super) proxy: Option<Watched>,
    /// How long calls and streams are measured.
    pub(super) length: Duration,
}

impl Job {
    /// The arguments that [`Job::parse`] reads.
    pub(super) fn to_args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--load={}", self.load.name),
            format!("--socket={}", self.peer.socket.display()),
            format!("--uri={}", self.peer.uri),
            format!("--volume={}", self.volume),
            format!("--seconds={}", self.length.as_secs_f64()),
        ];
        args.extend(self.proxy.map(|proxy| format!("--proxy={}", proxy.0)));
        args
    }

    fn parse(mut args: lexopt::Parser) -> Result<Job> {
        let (mut load, mut socket, mut uri) = (None, None, None);
        let (mut volume, mut proxy) = (String::new(), None);
        let mut length = Duration::from_secs(1);
        while let Some(arg) = args.next()? {
            match arg {
                Long("load") => load = Some(find_load(&LOADS, &args.value()?.string()?)?),
                Long("socket") => socket = Some(args.value()?.into()),
                Long("uri") => uri = Some(args.value()?.string()?),
                Long("volume") => volume = args.value()?.string()?,
                Long("proxy") => proxy = Some(Watched(args.value()?.parse()?)),
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
            peer: Peer {
                socket: socket.context("no --socket was given")?,
                uri: uri.context("no --uri was given")?,
            },
            volume,
            proxy,
            length,
        })
    }

    fn run(&self) -> Result<Sample> {
        let (peer, length) = (&self.peer, self.length);
        match (self.load.work, self.proxy) {
            (Work::Calls { connections, .. }, proxy) => {
                closed_loop::run(peer, connections, exchange(), length, proxy)
            }
            (Work::Stream, proxy) => stream::run(peer, &self.volume, length, proxy),
            (Work::Crowd { connections }, Some(proxy)) => {
                memory::idle_and_busy(peer, connections, exchange(), length, proxy)
            }
            (Work::Stalled, Some(proxy)) => stream::stalled(peer, &self.volume, proxy),
            (Work::Crowd { .. } | Work::Stalled, None) => {
                bail!("there is no proxy whose memory could be measured")
            }
        }
    }
}

/// Does the job that the arguments describe.
pub(super) fn run(args: lexopt::Parser) -> Result<()> {
    println!("{}", Job::parse(args)?.run()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_command_line() {
        let job = Job {
            load: find_load(&LOADS, "crowd").unwrap(),
            peer: Peer {
                socket: "/run/libvirt-sock".into(),
                uri: "test+unix:///default?socket=/run/a".into(),
            },
            volume: "/pool/volume".into(),
            proxy: Some(Watched(6)),
            length: Duration::from_millis(300),
        };
        let parsed = Job::parse(lexopt::Parser::from_args(job.to_args())).unwrap();
        assert_eq!(parsed, job);
    }
}
