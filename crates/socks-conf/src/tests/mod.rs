//! Tests of the whole crate, and what they share.

mod commands;
mod errors;
mod files;
mod model;
mod names;
mod servers;
mod shipped;
mod syntax;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::{Asked, Decision, Lookup, Routes, User};

/// The configuration's name in tests.
const FILE: &str = "/etc/pcp_socks.conf";

const ROOT: User<'_> = User {
    uid: 0,
    name: Some("root"),
};

/// Files by their names; some services.
#[derive(Default)]
struct Fixture(HashMap<&'static str, &'static [u8]>);

impl Lookup for Fixture {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        let text = text.ok_or_else(|| io::Error::from_raw_os_error(2))?;
        Ok(text.to_vec())
    }

    fn service(&self, name: &str) -> Option<u16> {
        match name {
            "telnet" => Some(23),
            "https" => Some(443),
            "pmcd" => Some(44321),
            _ => None,
        }
    }
}

fn routes(text: &str) -> Routes {
    routes_with(text, &Fixture::default())
}

fn routes_with(text: &str, lookup: &Fixture) -> Routes {
    match Routes::parse(text.as_bytes(), Path::new(FILE), lookup) {
        Ok(routes) => routes,
        Err(error) => panic!("{error}"),
    }
}

/// A connection by root to port 44321 of an address that is not this host's.
fn to(address: &str) -> Asked<'static> {
    Asked {
        address: Some(address.parse().unwrap()),
        name: None,
        port: 44321,
        user: ROOT,
        is_local: &|_| false,
    }
}

/// A connection to a name without a known address.
fn to_name(name: &str) -> Asked<'_> {
    Asked {
        address: None,
        name: Some(name),
        ..to("0.0.0.0")
    }
}

/// The line that decides on a connection to this address.
fn line(routes: &Routes, address: &str) -> Option<usize> {
    routes.decide(&to(address)).line
}

/// Whether the only line of a text, which ends in `sockd`'s default, matches the address.
fn matches(text: &str, address: &str) -> bool {
    line(&routes(text), address).is_some()
}

/// The decision on a connection by this user.
fn by<'a>(routes: &'a Routes, uid: u32, name: Option<&str>) -> Decision<'a> {
    let user = User { uid, name };
    routes.decide(&Asked {
        user,
        ..to("192.0.2.1")
    })
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}
