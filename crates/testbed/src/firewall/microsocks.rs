//! microsocks: SOCKS 5 and nothing else, as it is found on small machines.

use std::fs::File;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{Firewall, answers};
use crate::eventually::{PATIENCE, eventually};
use crate::packages;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;

/// A microsocks on one address of the firewall.
#[derive(Debug)]
pub struct Microsocks {
    // Dropped in this order: the folder outlives the process.
    process: Process,
    scratch: Scratch,
}

impl Microsocks {
    /// Starts one that asks nobody for a password, and waits until it answers.
    ///
    /// # Errors
    /// When the Debian package is missing, or it does not come up.
    pub fn start(wall: &Firewall, address: &str, port: u16) -> Result<Microsocks> {
        Microsocks::launch(wall, address, port, &[])
    }

    /// The same, for those who know this user's password.
    ///
    /// # Errors
    /// See [`Microsocks::start`].
    pub fn with_password(
        wall: &Firewall,
        address: &str,
        port: u16,
        user: &str,
        password: &str,
    ) -> Result<Microsocks> {
        Microsocks::launch(wall, address, port, &["-u", user, "-P", password])
    }

    fn launch(wall: &Firewall, address: &str, port: u16, more: &[&str]) -> Result<Microsocks> {
        packages::require("microsocks")?;
        let scratch = Scratch::new()?;
        let mut command = clean_command("microsocks");
        command
            .args(["-i", address, "-p", &port.to_string()])
            .args(more);
        let mut command = wall.gate().bring(&command);
        let output = File::create(scratch.join("output"))?;
        command.stdout(output.try_clone()?).stderr(output);
        let process = Process::spawn("microsocks", command)?;
        let mut server = Microsocks { process, scratch };
        let address = SocketAddr::new(address.parse()?, port);
        answers(wall, address, &mut server.process).with_context(|| server.log())?;
        Ok(server)
    }

    /// What it has said: a line for each connection that it has made.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("output")).unwrap_or_default()
    }

    /// Waits until its log has `text` in it.
    ///
    /// # Errors
    /// When it never has; the error shows the log.
    pub fn await_log(&self, text: &str) -> Result<()> {
        eventually(PATIENCE, format!("«{text}» in microsocks' log"), || {
            self.log().contains(text)
        })
        .with_context(|| self.log())
    }

    /// Its process, to be paused or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
