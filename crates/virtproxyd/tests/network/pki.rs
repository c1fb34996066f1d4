//! Certificates for virtproxyd and its clients, laid out as libvirt looks for them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::Result;
use testbed::{Authority, Certificate, Client, Libvirtd, Scratch, Virtproxyd, uri_tls, virsh};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_virtproxyd");

/// An authority with what it has issued.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) scratch: Scratch,
}

impl Pki {
    pub(crate) fn new() -> Result<Pki> {
        let pki = Pki {
            authority: Authority::new("Gate Test Authority")?,
            scratch: Scratch::new()?,
        };
        pki.scratch.share()?;
        pki.scratch
            .write("cacert.pem", pki.authority.certificate())?;
        pki.renew("localhost")?;
        Ok(pki)
    }

    /// Gives the server another certificate, for `name`.
    pub(crate) fn renew(&self, name: &str) -> Result<()> {
        let server = self.authority.issue(&[name, "127.0.0.1"])?;
        self.write_pair(Path::new("server"), &server)
    }

    fn write_pair(&self, name: &Path, pair: &Certificate) -> Result<()> {
        let name = name.display();
        self.scratch
            .write(format!("{name}cert.pem"), &pair.certificate)?;
        let key = self.scratch.write(format!("{name}key.pem"), &pair.key)?;
        fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        // virtproxyd and its clients are root's.
        Ok(chown(key, Some(0), Some(0))?)
    }

    /// A folder for a client with the common name `name`, whose certificate `issuer` issues; without
    /// an issuer it has none.
    pub(crate) fn client(&self, name: &str, issuer: Option<&Authority>) -> Result<PathBuf> {
        let folder = self.scratch.folder(name)?;
        fs::write(folder.join("cacert.pem"), self.authority.certificate())?;
        if let Some(issuer) = issuer {
            let pair = issuer.draft(&[name])?.for_clients().issue()?;
            self.write_pair(&Path::new(name).join("client"), &pair)?;
        }
        Ok(folder)
    }

    /// The lines of the configuration that name the files.
    pub(crate) fn config(&self) -> String {
        let here = self.scratch.path().display();
        format!(
            "listen_tls = 1\nkey_file = \"{here}/serverkey.pem\"\ncert_file = \"{here}/servercert.pem\"\n\
             ca_file = \"{here}/cacert.pem\"\n"
        )
    }
}

/// A virtproxyd in front of the test driver and the qemu driver.
pub(crate) struct Gate {
    pub(crate) proxy: Virtproxyd,
    pub(crate) libvirtd: Libvirtd,
}

impl Gate {
    pub(crate) fn start(config: &str) -> Result<Gate> {
        Gate::start_in(config, &[])
    }

    /// The same with variables in its environment.
    pub(crate) fn start_in(config: &str, environment: &[(&str, &Path)]) -> Result<Gate> {
        let libvirtd = Libvirtd::start()?;
        let mut proxy = Virtproxyd::builder(PROGRAM).config(config);
        for (name, value) in environment {
            proxy = proxy.env(name, value);
        }
        let proxy = proxy.start()?;
        for driver in ["test", "qemu"] {
            libvirtd.link_as(&proxy.daemons(), driver)?;
        }
        Ok(Gate { proxy, libvirtd })
    }

    pub(crate) fn tls_client(&self, folder: &Path) -> Client {
        virsh(&uri_tls("test:///default", self.proxy.tls_port(), folder))
    }
}
