//! Dante's server: SOCKS 4 and 5 as many firewalls have it. It knows nothing of 4a.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::host::Host;
use super::{Firewall, answers};
use crate::eventually::{PATIENCE, eventually};
use crate::packages;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;

const DANTED: &str = "/usr/sbin/danted";

/// A danted on the firewall, which answers on both its addresses.
#[derive(Debug)]
pub struct Danted {
    // Dropped in this order: the folder outlives the process.
    process: Process,
    port: u16,
    scratch: Scratch,
    _host: Host,
}

/// A danted that is to be started.
#[derive(Debug)]
pub struct DantedBuilder {
    port: u16,
    method: &'static str,
    versions: &'static str,
    rules: String,
}

impl Danted {
    /// One on the usual port, whom everybody may ask for everything.
    ///
    /// # Errors
    /// When the Debian package is missing, or it does not come up.
    pub fn start(wall: &Firewall) -> Result<Danted> {
        Danted::builder().start(wall)
    }

    /// One with a choice.
    pub fn builder() -> DantedBuilder {
        DantedBuilder {
            port: 1080,
            method: "none",
            versions: "socks_v4 socks_v5",
            rules: String::new(),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that is in its log: who connected from where to where, who was refused and why.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("danted.log")).unwrap_or_default()
    }

    /// Waits until its log has `text` in it.
    ///
    /// # Errors
    /// When it never has; the error shows the log.
    pub fn await_log(&self, text: &str) -> Result<()> {
        eventually(PATIENCE, format!("«{text}» in danted's log"), || {
            self.log().contains(text)
        })
        .with_context(|| self.log())
    }

    /// How many connections it has made for its clients, by its log.
    pub fn connections(&self) -> usize {
        let log = self.log();
        let made = |line: &&str| line.contains(": pass(") && line.contains(": tcp/connect [");
        log.lines().filter(made).count()
    }

    /// Its process, to be paused or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Danted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of danted ---\n{}", self.log());
        }
    }
}

impl DantedBuilder {
    /// Another port.
    #[must_use]
    pub fn port(mut self, port: u16) -> DantedBuilder {
        self.port = port;
        self
    }

    /// Asks for the name and the password of a user of the firewall: see [`Host::add_user`].
    #[must_use]
    pub fn password(mut self) -> DantedBuilder {
        self.method = "username";
        self
    }

    /// Speaks only SOCKS 4, or only SOCKS 5: `socks_v4` or `socks_v5`.
    #[must_use]
    pub fn only(mut self, version: &'static str) -> DantedBuilder {
        self.versions = version;
        self
    }

    /// Refuses connections to a destination in danted's words, such as `10.2.0.2/32 port = 80`.
    #[must_use]
    pub fn block(mut self, destination: &str) -> DantedBuilder {
        self.rules +=
            &format!("socks block {{ from: 0/0 to: {destination} log: connect error }}\n");
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// See [`Danted::start`].
    pub fn start(self, wall: &Firewall) -> Result<Danted> {
        packages::require("dante-server")?;
        let scratch = Scratch::new()?;
        let host = wall.gate().clone();
        let config = scratch.write("danted.conf", self.config(&scratch))?;
        let mut command = clean_command(DANTED);
        command.args(["-N", "1", "-f"]).arg(config);
        command.arg("-p").arg(scratch.join("danted.pid"));
        let output = std::fs::File::create(scratch.join("danted.output"))?;
        let mut command = host.bring(&command);
        command.stdout(output.try_clone()?).stderr(output);
        let process = Process::spawn("danted", command)?;
        let mut danted = Danted {
            process,
            port: self.port,
            scratch,
            _host: host,
        };
        let address = SocketAddr::new(Firewall::GATE.parse()?, self.port);
        answers(wall, address, &mut danted.process).with_context(|| danted.complaints())?;
        Ok(danted)
    }

    fn config(&self, scratch: &Scratch) -> String {
        let DantedBuilder {
            port,
            method,
            versions,
            rules,
        } = self;
        let log = scratch.join("danted.log");
        let log = log.display();
        format!(
            "logoutput: {log}\n\
             internal: 10.1.0.1 port = {port}\n\
             internal: fd01::1 port = {port}\n\
             external: out0\n\
             clientmethod: none\n\
             socksmethod: {method}\n\
             user.privileged: root\n\
             user.unprivileged: nobody\n\
             client pass {{ from: 0/0 to: 0/0 }}\n\
             {rules}\
             socks pass {{\nfrom: 0/0 to: 0/0\ncommand: connect\n\
             proxyprotocol: {versions}\nlog: connect disconnect error\n}}\n"
        )
    }
}

impl Danted {
    fn complaints(&self) -> String {
        let output = std::fs::read_to_string(self.scratch.join("danted.output"));
        format!("{}{}", output.unwrap_or_default(), self.log())
    }
}
