//! What connections through SOCKS servers need to know of this process: names of servers, and its user.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use socks_dial::Surroundings;

/// How long an answer of the resolver is believed. Asking takes time in which nothing else happens.
const BELIEVED: Duration = Duration::from_secs(60);

/// How many names are remembered; a configuration with more of them is asked for again and again.
const MAX_NAMES: usize = 256;

/// The process and its user.
pub(crate) struct Around {
    login: String,
    known: RefCell<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Around {
    pub(crate) fn new() -> Around {
        let uid = geteuid();
        let user = User::from_uid(uid).ok().flatten();
        Around {
            login: user.map_or_else(|| uid.to_string(), |user| user.name),
            known: RefCell::default(),
        }
    }

    /// Who runs this, for the routes.
    pub(crate) fn user(&self) -> socks_conf::User<'_> {
        socks_conf::User {
            uid: geteuid().as_raw(),
            name: Some(&self.login),
        }
    }
}

impl Surroundings for Around {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let now = Instant::now();
        let mut known = self.known.borrow_mut();
        if let Some((since, addresses)) = known.get(host)
            && now.duration_since(*since) < BELIEVED
        {
            return Ok(addresses.clone());
        }
        let addresses: Vec<IpAddr> = (host, 0)
            .to_socket_addrs()?
            .map(|address| address.ip())
            .collect();
        if known.len() < MAX_NAMES {
            known.insert(host.to_owned(), (now, addresses.clone()));
        }
        Ok(addresses)
    }

    fn login(&self) -> String {
        self.login.clone()
    }
}
