//! A real front of TLS for clients that begin without it: socat.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use testbed::{Client, PATIENCE, Pmproxy, Running, eventually, free_port, packages};

use crate::house::House;

/// Gives clients without TLS a secure channel to the proxy: a real one in front of it.
pub(crate) struct Front {
    port: u16,
    _socat: Running,
}

impl Front {
    pub(crate) fn of(proxy: &Pmproxy, house: &House) -> Result<Front> {
        Front::at("localhost", proxy, house, "")
    }

    /// One that reaches the proxy by this address, with more options of socat's.
    pub(crate) fn at(host: &str, proxy: &Pmproxy, house: &House, more: &str) -> Result<Front> {
        packages::require("socat")?;
        let port = free_port()?;
        let socat = Client::new("socat")
            .args([
                format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"),
                format!(
                    "OPENSSL:{host}:{},cafile={},commonname=localhost{more}",
                    proxy.port(),
                    house.trusted.display()
                ),
            ])
            .within(Duration::from_secs(600))
            .start()?;
        eventually(PATIENCE, "socat to listen", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .with_context(|| socat.stderr())?;
        Ok(Front {
            port,
            _socat: socat,
        })
    }

    pub(crate) fn client(&self, pmcd: &str) -> Client {
        let host = format!("{pmcd}@localhost:{}", self.port);
        Client::new("pminfo").args(["-h", &host])
    }
}
