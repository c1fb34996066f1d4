//! What the demo runs: a pmcd, found or started, and our pmproxy before it.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pcp_proto::greeting::Target;
use pcp_proto::{ErrorPdu, PMCD_PORT, PMPROXY_PORT, Pdu};
use testbed::{Pmproxy, Process, clean_command};

use super::counters::Counters;
use crate::tree::{cargo, must, target};

/// How long a pmcd that may be there has to greet.
const GREETING: Duration = Duration::from_secs(2);

/// The length of the greeting of a pmcd.
const GREETING_LEN: usize = 20;

/// The programs that were built.
pub(super) struct Programs {
    pmproxy: PathBuf,
    collector: PathBuf,
}

impl Programs {
    /// Builds them in release mode.
    pub(super) fn build() -> Result<Programs> {
        must(cargo().args(["build", "--release", "-p", "pmproxy", "-p", "collector"]))?;
        let folder = target()?;
        let program = |name| {
            let path = folder.join("release").join(name);
            ensure!(path.is_file(), "the build left no {}", path.display());
            Ok(path)
        };
        Ok(Programs {
            pmproxy: program("pmproxy")?,
            collector: program("collector")?,
        })
    }
}

/// The running peers. What was started ends when this is dropped.
pub(super) struct Peers {
    proxy: Pmproxy,
    pmcd: Target,
    _collector: Option<Process>,
}

impl Peers {
    /// Finds or starts a pmcd, starts pmproxy, and says so.
    pub(super) fn start(programs: &Programs) -> Result<Peers> {
        let (pmcd, collector) = if greets(PMCD_PORT) {
            eprintln!("A pmcd answers on localhost:{PMCD_PORT}; the metrics are its.");
            (local(PMCD_PORT)?, None)
        } else {
            let (port, collector) = start_collector(programs)?;
            eprintln!(
                "No pmcd answers on localhost:{PMCD_PORT}; started the collector on port {port}."
            );
            (local(port)?, Some(collector))
        };
        let proxy = start_proxy(programs)?;
        Ok(Peers {
            proxy,
            pmcd,
            _collector: collector,
        })
    }

    /// The pmcd, as pmproxy is to be asked for it.
    pub(super) fn pmcd(&self) -> &Target {
        &self.pmcd
    }

    /// The loopback port of pmproxy.
    pub(super) fn proxy_port(&self) -> u16 {
        self.proxy.port()
    }

    /// How a client's option -h names the pmcd behind the proxy.
    pub(super) fn host_specification(&self) -> String {
        format!("{}@localhost:{}", self.pmcd, self.proxy.port())
    }

    /// What pmproxy has counted.
    pub(super) fn counters(&self) -> Result<Counters> {
        Ok(Counters::parse(&self.proxy.metrics()?))
    }
}

fn local(port: u16) -> Result<Target> {
    let port = NonZeroU16::new(port).context("a pmcd has no port 0")?;
    Ok(Target::new("localhost", port)?)
}

/// Whether a pmcd answers on a port of this machine and welcomes its client.
fn greets(port: u16) -> bool {
    let addresses = ("localhost", port).to_socket_addrs();
    addresses.into_iter().flatten().any(|address| {
        let greeting = TcpStream::connect_timeout(&address, GREETING).and_then(|mut stream| {
            stream.set_read_timeout(Some(GREETING))?;
            let mut greeting = [0; GREETING_LEN];
            stream.read_exact(&mut greeting)?;
            Ok(greeting)
        });
        greeting
            .ok()
            .and_then(|greeting| ErrorPdu::decode(&greeting).ok())
            .is_some_and(|greeting| !greeting.status().is_error())
    })
}

/// Starts the collector on a free port and waits for the line in which it says that it is ready.
fn start_collector(programs: &Programs) -> Result<(u16, Process)> {
    let mut command = clean_command(&programs.collector);
    command.args(["-p", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Process::spawn("collector", command)?;
    let stdout = process.child().stdout.take().context("no pipe")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("cannot read what the collector says")?;
    let port = line.trim().rsplit_once(':').map(|(_, port)| port.parse());
    match port {
        Some(Ok(port)) => Ok((port, process)),
        _ => bail!("the collector did not start; it said {line:?}"),
    }
}

fn start_proxy(programs: &Programs) -> Result<Pmproxy> {
    let mut builder = Pmproxy::builder(&programs.pmproxy);
    let usual = is_free(PMPROXY_PORT);
    if usual {
        builder = builder.port(PMPROXY_PORT);
    }
    let proxy = builder.start().context("cannot start pmproxy")?;
    let port = proxy.port();
    if usual {
        eprintln!("Started pmproxy on port {port}.");
    } else {
        eprintln!("Port {PMPROXY_PORT} is taken; started pmproxy on port {port} instead.");
    }
    Ok(proxy)
}

/// Whether nothing listens on a port, on either loopback address.
fn is_free(port: u16) -> bool {
    let taken = |bound: std::io::Result<TcpListener>| {
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    !taken(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
        && !taken(TcpListener::bind((Ipv6Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcp_proto::Status;
    use testbed::Stub;

    #[test]
    fn only_a_pmcd_that_welcomes_its_client_is_taken() {
        let greeter = |status| {
            let refusal = ErrorPdu::refusal(status);
            Stub::start(move |mut wire, _| wire.send_pdu(&refusal)).unwrap()
        };
        assert!(greets(greeter(Status::OK).port()));
        assert!(!greets(greeter(Status::PERMISSION).port()));
        let http = Stub::start(|mut wire, _| wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(!greets(http.unwrap().port()));
    }

    #[test]
    fn a_port_on_which_something_listens_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
