//! What the tests start: a pmcd with a certificate, pmproxy with or without one, and clients that
//! know whom to trust.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{Uid, User, chown};
use testbed::{
    Authority, Certificate, Client, Pmcd, PmcdBuilder, Pmproxy, PmproxyBuilder, Scratch,
};

/// Names of this machine in certificates.
pub(crate) const HERE: [&str; 3] = ["localhost", "127.0.0.1", "10.99.0.1"];

/// An authority, and the files of what it has issued.
pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) scratch: Scratch,
    /// The authority's own certificate.
    pub(crate) trusted: PathBuf,
}

impl House {
    pub(crate) fn new() -> Result<House> {
        let scratch = Scratch::new()?;
        let authority = Authority::new("a test's authority")?;
        let trusted = scratch.write("authority.crt", authority.certificate())?;
        Ok(House {
            authority,
            scratch,
            trusted,
        })
    }

    /// A `tls.conf` with this certificate, for a server that runs as `user`, and more lines.
    pub(crate) fn server_conf(
        &self,
        name: &str,
        certificate: &Certificate,
        user: Uid,
        more: &str,
    ) -> Result<PathBuf> {
        let (key, own) = self.files(name, certificate, user)?;
        let text = format!(
            "tls-key-file = {}\ntls-cert-file = {}\ntls-ca-cert-file = {}\n{more}",
            key.display(),
            own.display(),
            self.trusted.display()
        );
        self.scratch.write(format!("{name}.conf"), text)
    }

    /// Writes the private key, for `user` only, and the certificate.
    pub(crate) fn files(
        &self,
        name: &str,
        certificate: &Certificate,
        user: Uid,
    ) -> Result<(PathBuf, PathBuf)> {
        let key = self
            .scratch
            .write(format!("{name}.key"), &certificate.key)?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400))?;
        chown(&key, Some(user), None)?;
        let own = self
            .scratch
            .write(format!("{name}.crt"), &certificate.certificate)?;
        Ok((key, own))
    }

    /// A `tls.conf` for a client that has no certificate.
    pub(crate) fn client_conf(&self) -> Result<PathBuf> {
        let text = format!("tls-ca-cert-file = {}\n", self.trusted.display());
        self.scratch.write("client.conf", text)
    }

    /// A `tls.conf` for a client with this certificate.
    pub(crate) fn client_conf_with(&self, name: &str, own: &Certificate) -> Result<PathBuf> {
        let (key, certificate) = self.files(name, own, Uid::current())?;
        let text = format!(
            "tls-ca-cert-file = {}\ntls-client-key-file = {}\ntls-client-cert-file = {}\n",
            self.trusted.display(),
            key.display(),
            certificate.display()
        );
        self.scratch.write(format!("{name}.conf"), text)
    }

    /// A pmcd that shows `certificate`.
    pub(crate) fn pmcd_with(&self, certificate: &Certificate) -> Result<PmcdBuilder> {
        let conf = self.server_conf("pmcd", certificate, user_of_pmcd()?, "")?;
        Ok(Pmcd::builder("secure").env("PCP_TLSCONF_PATH", conf))
    }

    /// A pmcd with a good certificate.
    pub(crate) fn pmcd(&self) -> Result<PmcdBuilder> {
        self.pmcd_with(&self.authority.issue(&HERE)?)
    }

    /// A pmproxy in which secure channels end.
    pub(crate) fn proxy(&self) -> Result<PmproxyBuilder> {
        let certificate = self.authority.issue(&HERE)?;
        let conf = self.server_conf("pmproxy", &certificate, Uid::current(), "")?;
        Ok(pmproxy().env("PCP_TLSCONF_PATH", conf))
    }
}

/// Ours, to be started, without a certificate.
pub(crate) fn pmproxy() -> PmproxyBuilder {
    Pmproxy::builder(env!("CARGO_BIN_EXE_pmproxy"))
}

/// Whose files a pmcd that root starts can read.
fn user_of_pmcd() -> Result<Uid> {
    if !Uid::current().is_root() {
        return Ok(Uid::current());
    }
    Ok(User::from_name("pcp")?.context("there is no user pcp")?.uid)
}

/// A client that insists on a secure channel, through `proxy` to the pmcd on `port` of `host`.
pub(crate) fn secure_client(proxy: &Pmproxy, host: &str, port: u16, conf: &Path) -> Client {
    client(proxy, &format!("pcps://{host}:{port}"), conf)
}

/// A client that asks for no secure channel.
pub(crate) fn plain_client(proxy: &Pmproxy, port: u16) -> Client {
    client(proxy, &format!("localhost:{port}"), Path::new("/dev/null"))
}

/// A client of the pmcd at `host`, a host specification, through `proxy`.
fn client(proxy: &Pmproxy, host: &str, conf: &Path) -> Client {
    Client::new("pminfo")
        .args(["-h", &format!("{host}@localhost:{}", proxy.port())])
        .env("PCP_TLSCONF_PATH", conf)
}

/// Expects the client to reach the pmcd of this house.
pub(crate) fn expect_served(client: Client) -> Result<()> {
    let shown = client.args(["-f", "pmcd.hostname"]).run()?.succeeded()?;
    anyhow::ensure!(shown.contains("value \"secure\""), "{shown}");
    Ok(())
}

/// Expects the client to fail, and to say this.
pub(crate) fn expect_refused(client: Client, reason: &str) -> Result<()> {
    let finished = client.args(["-f", "pmcd.hostname"]).run()?;
    let said = format!("{}{}", finished.stdout, finished.stderr);
    anyhow::ensure!(!said.contains("value \""), "it was served: {said}");
    anyhow::ensure!(said.contains(reason), "expected {reason:?} in {said:?}");
    Ok(())
}
