//! The SOCKS servers that are left to try, address by address. A name is looked up when its server's
//! turn has come, not before.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use rustix::io::Errno;
use socks_conf::Server;
use socks_proto::Version;

use crate::failure::Failure;
use crate::settings::Settings;

/// What only the process knows that this happens in.
pub trait Surroundings {
    /// The addresses of a SOCKS server, from the system's resolver. It may take its time.
    ///
    /// # Errors
    /// When the name is not known, or cannot be looked up.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// The login name of the effective user, which SOCKS 4 tells the server.
    fn login(&self) -> String;
}

/// One address of a server, with what is set for this server.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) address: SocketAddr,
    pub(crate) version: Option<Version>,
    pub(crate) credentials: Option<PathBuf>,
}

/// What is left to try.
#[derive(Debug)]
pub(crate) struct Candidates {
    servers: VecDeque<Server>,
    addresses: VecDeque<Candidate>,
}

impl Candidates {
    pub(crate) fn new(servers: Vec<Server>) -> Candidates {
        Candidates {
            servers: servers.into(),
            addresses: VecDeque::new(),
        }
    }

    /// How many turns there are at least; a name that is not looked up yet counts as one.
    pub(crate) fn left(&self) -> usize {
        self.servers.len() + self.addresses.len()
    }

    /// The next one. A server that has no addresses is passed over, and the failure says so when it
    /// was the last.
    pub(crate) fn next(
        &mut self,
        settings: &Settings,
        ipv4_first: bool,
        around: &dyn Surroundings,
    ) -> Result<Option<Candidate>, Failure> {
        let mut failed = None;
        while self.addresses.is_empty() {
            let Some(server) = self.servers.pop_front() else {
                return failed.map_or(Ok(None), Err);
            };
            match addresses(&server, settings, around) {
                Ok(found) => self.add(&server, found, settings, ipv4_first),
                Err(failure) => {
                    settings.say(&format_args!("{failure}"));
                    failed = Some(failure);
                }
            }
        }
        Ok(self.addresses.pop_front())
    }

    fn add(&mut self, server: &Server, found: Vec<IpAddr>, settings: &Settings, ipv4_first: bool) {
        let (first, second): (Vec<IpAddr>, Vec<IpAddr>) = found
            .into_iter()
            .partition(|address| !ipv4_first || address.is_ipv4());
        let port = server.port.unwrap_or(settings.port);
        let candidates = first.into_iter().chain(second).map(|address| Candidate {
            address: SocketAddr::new(address, port),
            version: server.version.or(settings.version),
            credentials: server.credentials.clone(),
        });
        self.addresses.extend(candidates);
    }
}

fn addresses(
    server: &Server,
    settings: &Settings,
    around: &dyn Surroundings,
) -> Result<Vec<IpAddr>, Failure> {
    let host = &server.host;
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    if let Some(addresses) = settings.handed_on.addresses(host) {
        return Ok(addresses.to_vec());
    }
    let unknown = |why: &str| {
        let what = format!("the name of SOCKS server {host} cannot be resolved: {why}");
        Failure::server(Errno::HOSTUNREACH, what)
    };
    match around.resolve(host) {
        Ok(found) if found.is_empty() => Err(unknown("it has no address")),
        Ok(found) => Ok(found),
        Err(error) => Err(unknown(&error.to_string())),
    }
}
