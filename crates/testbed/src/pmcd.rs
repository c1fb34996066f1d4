//! A real pmcd for one test: its own port, name space, configuration and folder.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use pcp_proto::{PduHeader, PduType};

use crate::client::Client;
use crate::daemon::{Daemon, Launch, connect, log_path};
use crate::firewall::Host;
use crate::packages;
use crate::process::clean_command;
use crate::scratch::Scratch;

const PMCD: &str = "/usr/lib/pcp/bin/pmcd";
/// Where clients look for it when they are told nothing else.
const PORT: u16 = 44321;

const PMNSMERGE: &str = "/usr/lib/pcp/bin/pmnsmerge";

/// The parts of the name space for the agents in [`CONFIG`]. The package leaves it to pmcd's start
/// script to merge them, and that script is for the system's pmcd alone.
const NAME_SPACE: [&str; 3] = [
    "/var/lib/pcp/pmns/root_root",
    "/var/lib/pcp/pmns/root_linux",
    "/var/lib/pcp/pmns/root_pmcd",
];

const CONFIG: &str = "\
pmcd\t2\tdso\tpmcd_init\t/var/lib/pcp/pmdas/pmcd/pmda_pmcd.so
linux\t60\tpipe\tbinary\t\t/var/lib/pcp/pmdas/linux/pmdalinux
[access]
allow \"*\" : all;
";

/// What it takes to serve the metrics of a pmproxy: an agent, and its part of the name space.
const PMPROXY_AGENT: &str = "pmproxy\t4\tdso\tpmproxy_init\t/var/lib/pcp/pmdas/mmv/pmda_mmv.so\n";
const PMPROXY_NAME_SPACE: &str = "/var/lib/pcp/pmns/root_pmproxy";

/// A running pmcd with the agents for itself and for Linux. It is a [`Daemon`].
#[derive(Debug)]
pub struct Pmcd(Daemon);

impl Pmcd {
    /// Starts a pmcd whose metric `pmcd.hostname` says `name`, and waits until it greets clients.
    ///
    /// # Errors
    /// When the Debian package pcp is missing, or pmcd does not come up (the error shows its log).
    pub fn start(name: &str) -> Result<Pmcd> {
        Pmcd::builder(name).start()
    }

    /// The same, with a choice.
    pub fn builder(name: &str) -> PmcdBuilder {
        PmcdBuilder {
            name: name.to_owned(),
            port: None,
            host: None,
            metrics_of: None,
            agents: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl Deref for Pmcd {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.0
    }
}

impl DerefMut for Pmcd {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.0
    }
}

/// A pmcd that is to be started.
#[derive(Debug)]
pub struct PmcdBuilder {
    name: String,
    port: Option<u16>,
    host: Option<Host>,
    metrics_of: Option<PathBuf>,
    agents: Vec<(String, &'static str)>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl PmcdBuilder {
    /// The port, instead of any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> PmcdBuilder {
        self.port = Some(port);
        self
    }

    /// Runs it on this host of the test, where it answers on all addresses and on pmcd's usual port
    /// unless another is given.
    #[must_use]
    pub fn on(mut self, host: &Host) -> PmcdBuilder {
        self.host = Some(host.clone());
        self.port = self.port.or(Some(PORT));
        self.env("PMCD_LOCAL", "0")
    }

    /// Serves the metrics that a pmproxy leaves in this folder, its `PCP_TMP_DIR`, with the real
    /// agent for memory-mapped values.
    #[must_use]
    pub fn metrics_of(mut self, tmp_dir: impl Into<PathBuf>) -> PmcdBuilder {
        self.metrics_of = Some(tmp_dir.into());
        self
    }

    /// One more agent: its line in pmcd's configuration, and its part of the name space.
    #[must_use]
    pub fn agent(mut self, line: impl Into<String>, name_space: &'static str) -> PmcdBuilder {
        self.agents.push((line.into(), name_space));
        self
    }

    /// More options.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> PmcdBuilder {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable. `PMCD_LOCAL` is 1 unless it is set here: it listens on loopback.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> PmcdBuilder {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it and waits until it greets clients.
    ///
    /// # Errors
    /// See [`Pmcd::start`].
    pub fn start(self) -> Result<Pmcd> {
        packages::require("pcp")?;
        let scratch = Scratch::new()?;
        let (mut config, mut name_space) = (CONFIG.to_owned(), NAME_SPACE.to_vec());
        if self.metrics_of.is_some() {
            config.insert_str(0, PMPROXY_AGENT);
            name_space.push(PMPROXY_NAME_SPACE);
        }
        for (line, part) in &self.agents {
            config.insert_str(0, &format!("{line}\n"));
            if !name_space.contains(part) {
                name_space.push(part);
            }
        }
        scratch.write("pmcd.conf", config)?;
        make_name_space(&name_space, &scratch.join("root"))?;
        let host = self.host.clone();
        let launch = Launch {
            name: "pmcd",
            port: self.port,
            command: Box::new(move |scratch, port| self.command(scratch, port)),
            answers: greets,
            host,
        };
        Ok(Pmcd(Daemon::start(launch, scratch)?))
    }

    fn command(&self, scratch: &Scratch, port: u16) -> Command {
        let socket = scratch.join("pmcd.sock");
        // One that was killed leaves its socket behind; the next cannot bind it.
        let _ = std::fs::remove_file(&socket);
        let mut command = clean_command(PMCD);
        command.args(["-f", "-A", "-H", &self.name, "-p", &port.to_string()]);
        command.arg("-s").arg(socket);
        command.arg("-n").arg(scratch.join("root"));
        command.arg("-c").arg(scratch.join("pmcd.conf"));
        command.arg("-l").arg(log_path(scratch, "pmcd"));
        command.arg("-x").arg(scratch.join("pmcd.err"));
        command.args(&self.args);
        if let Some(tmp_dir) = &self.metrics_of {
            command.env("PCP_TMP_DIR", tmp_dir);
        }
        command
            .env("PMCD_LOCAL", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn make_name_space(parts: &[&str], root: &Path) -> Result<()> {
    Client::new(PMNSMERGE)
        .args(["-a"])
        .args(parts)
        .args([root])
        .run()?
        .succeeded()?;
    if !root.exists() {
        bail!("{PMNSMERGE} made no {}", root.display());
    }
    Ok(())
}

/// pmcd speaks first: its greeting is an ERROR PDU.
fn greets(port: u16) -> bool {
    read_head(port).is_ok_and(|header| header.pdu_type == PduType::ERROR)
}

fn read_head(port: u16) -> Result<PduHeader> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = [0; PduHeader::SIZE];
    stream.read_exact(&mut head)?;
    Ok(PduHeader::decode(&head)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Wire, free_port};
    use std::net::Ipv4Addr;

    fn hostname(port: u16) -> Result<String> {
        let host = format!("localhost:{port}");
        Client::new("pminfo")
            .args(["-h", &host, "-f", "pmcd.hostname"])
            .run()?
            .succeeded()
    }

    #[test]
    fn a_real_client_fetches_from_it_and_it_ends_when_asked() {
        let mut pmcd = Pmcd::start("alpha").unwrap();
        assert!(hostname(pmcd.port()).unwrap().contains("value \"alpha\""));
        let (port, folder) = (pmcd.port(), pmcd.folder().to_owned());
        pmcd.terminate().unwrap();
        assert!(hostname(port).is_err());
        drop(pmcd);
        assert!(!folder.exists());
    }

    #[test]
    fn the_agent_for_linux_answers() {
        let pmcd = Pmcd::start("alpha").unwrap();
        let host = format!("localhost:{}", pmcd.port());
        let shown = Client::new("pminfo")
            .args(["-h", &host, "-f", "hinv.ncpu"])
            .run()
            .unwrap();
        assert!(shown.succeeded().unwrap().contains("value "));
    }

    #[test]
    fn its_name_tells_two_of_them_apart() {
        let (alpha, beta) = (Pmcd::start("alpha").unwrap(), Pmcd::start("beta").unwrap());
        assert!(hostname(alpha.port()).unwrap().contains("\"alpha\""));
        assert!(hostname(beta.port()).unwrap().contains("\"beta\""));
    }

    #[test]
    fn it_comes_back_on_its_port_after_it_was_killed() {
        let mut pmcd = Pmcd::start("alpha").unwrap();
        pmcd.kill();
        assert!(hostname(pmcd.port()).is_err());
        pmcd.restart().unwrap();
        assert!(hostname(pmcd.port()).unwrap().contains("\"alpha\""));
        pmcd.restart().unwrap();
        assert!(hostname(pmcd.port()).unwrap().contains("\"alpha\""));
    }

    #[test]
    fn a_paused_one_answers_when_it_is_resumed() {
        let mut pmcd = Pmcd::start("alpha").unwrap();
        pmcd.pause().unwrap();
        let host = format!("localhost:{}", pmcd.port());
        let client = Client::new("pminfo").args(["-h", &host, "-f", "pmcd.hostname"]);
        let client = client
            .env("PMCD_CONNECT_TIMEOUT", "60")
            .within(Duration::from_secs(60));
        let waiting = client.start().unwrap();
        pmcd.resume().unwrap();
        assert!(
            waiting
                .finish()
                .unwrap()
                .succeeded()
                .unwrap()
                .contains("\"alpha\"")
        );
    }

    #[test]
    fn a_client_that_left_leaves_no_descriptor() {
        let pmcd = Pmcd::start("alpha").unwrap();
        let mut client = Wire::connect(pmcd.port()).unwrap();
        client.receive_pdu().unwrap();
        let with_client = pmcd.descriptors().unwrap();
        drop(client);
        pmcd.await_descriptors(with_client - 1).unwrap();
    }

    #[test]
    fn a_port_that_another_program_has_is_an_error_when_it_was_asked_for() {
        let port = free_port().unwrap();
        let _taken = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let error = Pmcd::builder("alpha")
            .port(port)
            .start()
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("port {port} is taken")), "{error}");
    }
}
