//! The load generator: a process of its own that puts one load on one contender and prints one
//! line with the sample. The bench starts it; nobody else needs to.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use super::super::figures::Sample;
use super::super::link::{Exchange, NearSide};
use super::super::proc_fs::Watched;
use super::super::suite::find_load;
use super::super::{closed_loop, memory};
use super::certificates::Certificates;
use super::load::{LOADS, Load, Work};
use super::peer::{Handshake, Peer, SecurePeer};
use super::secure_link::Sealed;
use super::stalled;
use super::wire::request;

/// What the bench tells the load generator.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) load: Load,
    pub(super) peer: Peer,
    /// How its connections turn to TLS, if they do, and whom they trust.
    pub(super) secure: Option<(Handshake, Certificates)>,
    /// The proxy between it and the stub server, if there is one.
    pub(super) proxy: Option<Watched>,
    /// How long round trips are measured.
    pub(super) length: Duration,
}

impl Job {
    /// The arguments that [`Job::parse`] reads.
    pub(super) fn to_args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--load={}", self.load.name),
            format!("--address={}", self.peer.address),
            format!("--seconds={}", self.length.as_secs_f64()),
        ];
        args.extend(self.peer.target.map(|target| format!("--target={target}")));
        args.extend(self.proxy.map(|proxy| format!("--proxy={}", proxy.0)));
        if let Some((handshake, certificates)) = &self.secure {
            args.push(format!("--handshake={}", handshake.key()));
            args.push(format!(
                "--certificates={}",
                certificates.folder().display()
            ));
        }
        args
    }

    fn parse(mut args: lexopt::Parser) -> Result<Job> {
        let (mut load, mut address, mut target, mut proxy) = (None, None, None, None);
        let (mut handshake, mut certificates) = (None, None);
        let mut length = Duration::from_secs(1);
        while let Some(arg) = args.next()? {
            match arg {
                Long("load") => load = Some(find_load(&LOADS, &args.value()?.string()?)?),
                Long("address") => address = Some(args.value()?.parse()?),
                Long("target") => target = Some(args.value()?.parse()?),
                Long("handshake") => handshake = Some(Handshake::find(&args.value()?.string()?)?),
                Long("certificates") => certificates = Some(Certificates::at(args.value()?.into())),
                Long("proxy") => proxy = Some(Watched(args.value()?.parse()?)),
                Long("seconds") => {
                    length = args
                        .value()?
                        .parse_with(|s| s.parse().map(Duration::try_from_secs_f64))??;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let load = load.context("no --load was given")?;
        let address = address.context("no --address was given")?;
        Ok(Job {
            load,
            peer: Peer { address, target },
            secure: handshake.zip(certificates),
            proxy,
            length,
        })
    }

    fn run(self) -> Result<Sample> {
        match &self.secure {
            None => self.run_on(&self.peer),
            Some((handshake, certificates)) => self.run_on(&SecurePeer {
                peer: self.peer,
                handshake: *handshake,
                config: certificates.client_config()?,
            }),
        }
    }

    fn run_on<L: Sealed>(&self, peer: &impl NearSide<Link = L>) -> Result<Sample> {
        match (self.load.work, self.proxy) {
            (Work::RoundTrips { connections, reply }, proxy) => {
                let exchange = Exchange {
                    request: request(reply).to_vec(),
                    reply: reply as usize,
                };
                closed_loop::run(peer, connections, exchange, self.length, proxy)
            }
            (Work::Idle { connections }, Some(proxy)) => memory::idle(peer, connections, proxy),
            (Work::Stalled { requests, reply }, Some(proxy)) => {
                stalled::run(peer, requests, reply, proxy)
            }
            (Work::Idle { .. } | Work::Stalled { .. }, None) => {
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
            load: find_load(&LOADS, "idle").unwrap(),
            peer: Peer {
                address: "127.0.0.1:4".parse().unwrap(),
                target: Some("127.0.0.1:5".parse().unwrap()),
            },
            secure: Some((
                Handshake::AtTheDoor,
                Certificates::at("/certificates".into()),
            )),
            proxy: Some(Watched(6)),
            length: Duration::from_millis(300),
        };
        let parsed = Job::parse(lexopt::Parser::from_args(job.to_args())).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{job:?}"));
    }
}
