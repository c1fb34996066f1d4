//! A pmproxy for one test or benchmark: ours or the C one, on its own port and in its own folder.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::daemon::{Daemon, Launch, connect, log_path};
use crate::eventually::PATIENCE;
use crate::packages;
use crate::process::clean_command;
use crate::scratch::Scratch;

const C_PMPROXY: &str = "/usr/lib/pcp/bin/pmproxy";
const ADMIN_SOCKET: &str = "admin.sock";

/// The folder in `PCP_TMP_DIR` where a pmproxy leaves its metrics for pmcd.
const METRICS: &str = "pmproxy";

/// A running pmproxy. It is a [`Daemon`].
#[derive(Debug)]
pub struct Pmproxy(Daemon);

impl Pmproxy {
    /// Our pmproxy, with an empty configuration. Cargo builds `program` for the integration tests of its own crate, which find it
    /// with `env!("CARGO_BIN_EXE_pmproxy")`.
    pub fn builder(program: impl Into<PathBuf>) -> PmproxyBuilder {
        PmproxyBuilder {
            wrapper: Vec::new(),
            program: program.into(),
            package: None,
            port: None,
            config: Some(String::new()),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The C implementation, from the Debian package pcp, with the package's configuration.
    pub fn c() -> PmproxyBuilder {
        PmproxyBuilder {
            package: Some("pcp"),
            config: None,
            ..Pmproxy::builder(C_PMPROXY)
        }
    }

    /// Where ours has its admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder().join(ADMIN_SOCKET)
    }

    /// The telemetry of ours: Prometheus text from its admin socket. The connection that showed that
    /// it was ready is a client too, which left without a greeting: compare with an earlier value.
    ///
    /// # Errors
    /// When it does not answer, or not with success.
    pub fn metrics(&self) -> Result<String> {
        let path = self.admin_socket();
        let answer = http_get(&path, "/metrics")
            .with_context(|| format!("cannot get /metrics from {}", path.display()))?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
            _ => bail!("/metrics was not answered with success: {answer}"),
        }
    }

    /// One value of [`Pmproxy::metrics`], by its name with its labels, as in
    /// `pmproxy_bytes_total{direction="to_pmcd"}`; 0 when it is not there yet.
    ///
    /// # Errors
    /// When the metrics cannot be had, or the value is no number.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let metrics = self.metrics()?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(Ok(0.0), |value| {
            value
                .trim()
                .parse()
                .with_context(|| format!("{name} is {value}, which is no number"))
        })
    }
}

fn http_get(socket: &std::path::Path, target: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Deref for Pmproxy {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.0
    }
}

impl DerefMut for Pmproxy {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.0
    }
}

/// A pmproxy that is to be started.
#[derive(Debug)]
pub struct PmproxyBuilder {
    wrapper: Vec<OsString>,
    program: PathBuf,
    package: Option<&'static str>,
    port: Option<u16>,
    config: Option<String>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl PmproxyBuilder {
    /// The port, instead of any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> PmproxyBuilder {
        self.port = Some(port);
        self
    }

    /// The text of its `pmproxy.conf`.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> PmproxyBuilder {
        self.config = Some(text.into());
        self
    }

    /// More options.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> PmproxyBuilder {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable. `PMPROXY_LOCAL` is 1 unless it is set here: it listens on loopback.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> PmproxyBuilder {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Has it run by another program, such as `unshare`, which becomes it: the proxy's own command
    /// line follows these words.
    #[must_use]
    pub fn through<A: AsRef<OsStr>>(
        mut self,
        words: impl IntoIterator<Item = A>,
    ) -> PmproxyBuilder {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(words);
        self
    }

    /// Starts it and waits until its log says that the port is open and it accepts connections.
    ///
    /// # Errors
    /// When the program cannot be run or does not come up; the error shows its log.
    pub fn start(self) -> Result<Pmproxy> {
        self.package.map_or(Ok(()), packages::require)?;
        let scratch = Scratch::new()?;
        scratch.folder(METRICS)?;
        if let Some(text) = &self.config {
            scratch.write("pmproxy.conf", text)?;
        }
        let launch = Launch {
            name: "pmproxy",
            port: self.port,
            command: Box::new(move |scratch, port| self.command(scratch, port)),
            answers: |port| connect(port).is_ok(),
            host: None,
        };
        Ok(Pmproxy(Daemon::start(launch, scratch)?))
    }

    fn command(&self, scratch: &Scratch, port: u16) -> Command {
        let mut words = self.wrapper.iter().map(OsString::as_os_str);
        let program = self.program.as_os_str();
        let mut command = clean_command(words.next().unwrap_or(program));
        if !self.wrapper.is_empty() {
            command.args(words).arg(program);
        }
        command.args(["-f", "-A", "-p", &port.to_string()]);
        command.arg("-s").arg(scratch.join("pmproxy.sock"));
        command.arg("-l").arg(log_path(scratch, "pmproxy"));
        command.arg("-x").arg(scratch.join("pmproxy.err"));
        if self.config.is_some() {
            command.arg("-c").arg(scratch.join("pmproxy.conf"));
        }
        command.args(&self.args);
        command.env("PMPROXY_LOCAL", "1");
        command.env("PMPROXY_ADMIN_SOCKET", scratch.join(ADMIN_SOCKET));
        // Its metrics are not for the pmcd of this host.
        command.env("PCP_TMP_DIR", scratch.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Pmcd};

    #[test]
    fn the_c_one_carries_a_real_client_and_ends_when_asked() {
        let pmcd = Pmcd::start("alpha").unwrap();
        let mut proxy = Pmproxy::c().start().unwrap();
        let host = format!("localhost:{}@localhost:{}", pmcd.port(), proxy.port());
        let client = Client::new("pminfo").args(["-h", &host, "-f", "pmcd.hostname"]);
        assert!(
            client
                .run()
                .unwrap()
                .succeeded()
                .unwrap()
                .contains("value \"alpha\"")
        );
        assert!(proxy.log().contains("Log for pmproxy"), "{}", proxy.log());
        assert!(proxy.terminate().unwrap().success());
        assert!(!client.run().unwrap().status.success());
    }

    #[test]
    fn one_that_ends_at_once_is_reported_with_what_it_said() {
        let error = Pmproxy::c().args(["--no-such-option"]).start().unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("pmproxy ended while it was being started"),
            "{error}"
        );
        assert!(error.contains("no-such-option"), "{error}");
    }
}
