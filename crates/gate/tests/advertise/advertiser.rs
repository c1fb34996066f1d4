//! The program that the tests start: it advertises a service until it is told to end. It lives in
//! the test binary, so that it is never older than the code that is tested.

use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Context, Result};
use gate::advertise::{Advertisement, Reach, Service};
use tokio::signal::unix::{SignalKind, signal};

use crate::lan::Host;
use testbed::Running;

const NAME: &str = "ADVERTISED_NAME";
const PORT: &str = "ADVERTISED_PORT";
const ADDRESSES: &str = "ADVERTISED_ADDRESSES";

impl Host {
    /// Advertises a service named `name` at `port`, on all addresses or on these only.
    pub(crate) fn advertise(
        &mut self,
        name: &str,
        port: u16,
        addresses: &[&str],
    ) -> Result<Running> {
        let program = env::current_exe()?;
        self.program(&[&program.to_string_lossy()])
            .args(["--ignored", "--exact", "advertiser::run", "--nocapture"])
            .env(NAME, name)
            .env(PORT, port.to_string())
            .env(ADDRESSES, addresses.join(" "))
            .start()
    }
}

#[test]
#[ignore = "the program that the other tests start"]
fn run() -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let service = Service {
        name: env::var(NAME).context("only the other tests start this")?,
        kind: "_pmproxy._tcp",
        port: env::var(PORT)?.parse()?,
        txt: vec![("proves".into(), "a point".into())],
    };
    let mut addresses: Vec<IpAddr> = env::var(ADDRESSES)?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        addresses = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    }
    // So that pmfind's probe finds somebody there.
    let _listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, service.port))?;
    advertise_until_told(service, addresses)
}

#[tokio::main]
async fn advertise_until_told(service: Service, addresses: Vec<IpAddr>) -> Result<()> {
    let reach = Reach::of(addresses).context("nobody else could reach it")?;
    let advertisement = Advertisement::start([service], reach);
    signal(SignalKind::terminate())?.recv().await;
    advertisement.withdraw().await;
    Ok(())
}
