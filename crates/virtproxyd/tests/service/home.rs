//! What these tests have in common: the program, a daemon behind it, and clients.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testbed::{Client, Finished, Libvirtd, Scratch, Virtproxyd, uri_unix, virsh};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_virtproxyd");

/// A libvirtd and a virtproxyd in front of its test driver.
pub(crate) struct Pair {
    pub(crate) proxy: Virtproxyd,
    _libvirtd: Libvirtd,
}

impl Pair {
    pub(crate) fn start(config: &str, args: &[&str]) -> Result<Pair> {
        let libvirtd = Libvirtd::start()?;
        let proxy = Virtproxyd::builder(PROGRAM).config(config).args(args);
        let proxy = proxy.start()?;
        libvirtd.link_as(&proxy.daemons(), "test")?;
        Ok(Pair {
            proxy,
            _libvirtd: libvirtd,
        })
    }

    /// A client of the test driver through virtproxyd.
    pub(crate) fn client(&self) -> Client {
        virsh(&uri_unix("test:///default", &self.proxy.socket()))
    }

    /// Expects that clients are served.
    pub(crate) fn serves(&self) -> Result<()> {
        let names = self.client().args(["list", "--name"]).run()?.succeeded()?;
        anyhow::ensure!(names.trim() == "test", "{names}");
        Ok(())
    }
}

/// A folder with a configuration, and the program with that; nothing runs yet.
pub(crate) struct Home(Scratch);

impl Home {
    pub(crate) fn new(config: &str) -> Result<Home> {
        let home = Home(Scratch::new()?);
        let here = home.0.path().display();
        let place = format!(
            "unix_sock_dir = \"{here}\"\ndaemon_sock_dir = \"{here}\"\nlog_outputs = \"1:file:{here}/log\"\n\
             auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n"
        );
        // A key may not stand there twice.
        let is_set = |line: &str| {
            let key = line.split('=').next().unwrap_or_default();
            config.lines().any(|own| own.starts_with(key.trim_end()))
        };
        let place: String = place
            .lines()
            .filter(|line| !is_set(line))
            .map(|line| format!("{line}\n"))
            .collect();
        home.0.write("conf", format!("{config}\n{place}"))?;
        Ok(home)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn program(&self) -> Client {
        let (conf, pid) = (self.join("conf"), self.join("pid"));
        Client::new(PROGRAM).args([
            "-f".as_ref(),
            conf.as_os_str(),
            "-p".as_ref(),
            pid.as_os_str(),
        ])
    }

    /// Runs it to its end, which is to come at once.
    pub(crate) fn refused(&self) -> Result<Finished> {
        self.program().run().context("it does not end")
    }
}
