//! A DNS-SD responder of our own, for hosts without Avahi.
//!
//! It is mdns-sd in a thread of its own. Its sockets share port 5353 with other programs.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use mdns_sd::{DaemonEvent, IfKind, Receiver, ServiceDaemon, ServiceInfo};

use super::reach::Reach;
use super::service::Service;

/// How long the thread may take for its farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often the thread is looked after.
const ROUND: Duration = Duration::from_secs(2);

/// Records of other hosts that mdns-sd may keep. It keeps some though it never asks, and has no
/// limit for them, so a hostile neighbour could fill the memory.
const MOST_RECORDS: i64 = 5_000;

/// The longest label of a host name, in bytes.
const LONGEST_LABEL: usize = 63;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot start a DNS-SD responder: {0}")]
    Start(#[source] mdns_sd::Error),
    #[error("cannot advertise {name} ({kind}): {source}")]
    Register {
        name: String,
        kind: &'static str,
        source: mdns_sd::Error,
    },
    #[error("the DNS-SD responder has failed: {0}")]
    Failed(String),
    #[error(
        "the DNS-SD responder starts afresh: other hosts sent it more records than it may keep"
    )]
    Flooded,
}

/// A running responder. Dropping it ends it too, but nobody can wait for that.
pub(super) struct Responder {
    daemon: ServiceDaemon,
    events: Receiver<DaemonEvent>,
}

impl Responder {
    pub(super) fn start(services: &[Service], reach: &Reach) -> Result<Responder, Error> {
        let daemon = ServiceDaemon::new().map_err(Error::Start)?;
        let events = daemon.monitor().map_err(Error::Start)?;
        let responder = Responder { daemon, events };
        responder
            .daemon
            .disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])
            .map_err(Error::Start)?;
        for service in services {
            let registered =
                service_info(service, reach).and_then(|info| responder.daemon.register(info));
            registered.map_err(|source| Error::Register {
                name: service.name.clone(),
                kind: service.kind,
                source,
            })?;
        }
        Ok(responder)
    }

    /// Looks after it for as long as it is polled. It returns only on an error.
    pub(super) async fn watch(&self) -> Result<Infallible, Error> {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                event = self.events.recv_async() => match event {
                    Ok(event) => log(event),
                    Err(_) => return Err(Error::Failed("its thread has ended".into())),
                },
                _ = rounds.tick() => self.check().await?,
            }
        }
    }

    async fn check(&self) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Failed(error.to_string());
        let numbers = self.daemon.get_metrics().map_err(|error| failed(&error))?;
        let numbers = numbers.recv_async().await.map_err(|error| failed(&error))?;
        let cached = numbers
            .iter()
            .filter(|(name, _)| name.starts_with("cached-"))
            .map(|(_, number)| number);
        if cached.sum::<i64>() > MOST_RECORDS {
            return Err(Error::Flooded);
        }
        Ok(())
    }

    /// Withdraws the services and ends it.
    pub(super) async fn end(self) {
        if let Ok(ended) = self.daemon.shutdown() {
            // At worst other hosts believe in the service until its records expire.
            let _ = tokio::time::timeout(FAREWELL, ended.recv_async()).await;
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // It fails if it has ended already.
        let _ = self.daemon.shutdown();
    }
}

fn log(event: DaemonEvent) {
    match event {
        DaemonEvent::Announce(name, _) => tracing::debug!(target: "discovery", "announced {name}"),
        DaemonEvent::NameChange(change) => {
            tracing::info!(
                "{} is taken by another host; advertised as {}",
                change.original,
                change.new_name
            );
        }
        DaemonEvent::Error(error) => {
            tracing::debug!(target: "discovery", "DNS-SD responder: {error}");
        }
        _ => {}
    }
}

fn service_info(service: &Service, reach: &Reach) -> mdns_sd::Result<ServiceInfo> {
    let kind = format!("{}.local.", service.kind);
    let host = host_name(service.kind);
    let mut info = ServiceInfo::new(
        &kind,
        &service.name,
        &host,
        "",
        service.port,
        service.txt.as_slice(),
    )?
    .enable_addr_auto();
    info.set_interfaces(reach.addresses().iter().map(interface_kind).collect());
    Ok(info)
}

fn interface_kind(address: &IpAddr) -> IfKind {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => IfKind::IPv4,
        IpAddr::V6(v6) if v6.is_unspecified() => IfKind::IPv6,
        address => IfKind::Addr(*address),
    }
}

/// A host name for the records. It is not the host's own one, over which this would quarrel with
/// another responder on this host, such as systemd-resolved.
fn host_name(kind: &str) -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    let program = kind.trim_start_matches('_').split('.').next();
    let label: String = host
        .split('.')
        .next()
        .into_iter()
        .chain(program)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(LONGEST_LABEL)
        .collect();
    format!("{label}.local.")
}
