//! Advertises a service by DNS-SD until it is told to end:
//! `advertise KIND PORT NAME [ADDRESS]...`, where the addresses (all unless some are given) are
//! those at which the service listens. It listens on the port as well, and takes nobody.

use std::env::args;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Context, Result};
use gate::advertise::{Advertisement, Reach, Service};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut args = args().skip(1);
    let (kind, port, name) = (args.next(), args.next(), args.next());
    let service = Service {
        kind: kind.context("which kind?")?.leak(),
        port: port.context("which port?")?.parse().context("bad port")?,
        name: name.context("which name?")?,
        txt: vec![("proves".into(), "a point".into())],
    };
    let mut addresses: Vec<IpAddr> = args
        .map(|address| address.parse())
        .collect::<Result<_, _>>()
        .context("bad address")?;
    if addresses.is_empty() {
        addresses = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    }
    let _listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, service.port))?;

    let reach = Reach::of(addresses).context("nobody else could reach it")?;
    let advertisement = Advertisement::start([service], reach);
    signal(SignalKind::terminate())?.recv().await;
    advertisement.withdraw().await;
    Ok(())
}
