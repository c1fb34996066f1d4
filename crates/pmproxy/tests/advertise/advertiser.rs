//! pmproxy on a host of the network of namespaces.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use testbed::{Process, Running};

use crate::lan::Host;

/// Gives the program a host name of its own, which becomes part of what it advertises.
const NAMED: &str = "hostname \"$0\" && exec \"$@\"";

/// A running pmproxy that advertises itself.
pub(crate) struct Advertiser {
    running: Running,
    log: PathBuf,
}

impl Host {
    /// Starts a pmproxy that takes its host for one called `name` and listens at `port`, with more
    /// options.
    pub(crate) fn advertise(
        &mut self,
        name: &str,
        port: u16,
        options: &[&str],
    ) -> Result<Advertiser> {
        let place = self.write(&format!("{name}-{port}.place"), b"")?;
        let file = |ending: &str| place.with_extension(ending).display().to_string();
        let (log, conf) = (file("log"), place.display().to_string());
        let (socket, port) = (file("socket"), port.to_string());
        let mut words = vec!["unshare", "--uts", "/bin/sh", "-c", NAMED, name];
        words.extend([env!("CARGO_BIN_EXE_pmproxy"), "-f", "-D", "discovery"]);
        words.extend(["-p", &port, "-l", &log, "-c", &conf, "-s", &socket]);
        words.extend(options);
        let admin = file("admin");
        let running = self
            .program(&words)
            .env("PMPROXY_ADMIN_SOCKET", admin)
            .env("PCP_TMP_DIR", "/no/such/folder")
            .start()?;
        Ok(Advertiser {
            running,
            log: log.into(),
        })
    }
}

impl Advertiser {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.running.process()
    }

    /// Ends it and gives whether it ended well.
    pub(crate) fn terminate(self) -> Result<bool> {
        Ok(self.running.terminate()?.status.success())
    }
}
