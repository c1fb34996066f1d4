//! The contenders: where their programs are, and how one is started in front of a daemon.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::super::build_ours;
use super::super::proc_fs::Watched;
use super::super::proxy::{Proxy, first_file, temporary_folder};
use super::super::suite;
use super::peer::Peer;
use crate::interrupt::Interrupt;
use crate::tree;

/// What stands between the load generator and the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Contender {
    /// Nothing: the limit.
    Direct,
    /// The virtproxyd of this workspace.
    Ours,
    /// libvirt's own virtproxyd.
    C,
}

impl suite::Contender for Contender {
    const ALL: &'static [Contender] = &[Contender::Direct, Contender::Ours, Contender::C];
    const DEFAULT: &'static [Contender] = Contender::ALL;
    const REFERENCES: &'static [Contender] = &[Contender::Direct, Contender::C];

    fn key(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Ours => "ours",
            Contender::C => "c",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Ours => "ours",
            Contender::C => "C virtproxyd",
        }
    }

    fn is_direct(self) -> bool {
        self == Contender::Direct
    }

    fn program(self) -> Result<Option<PathBuf>> {
        match self {
            Contender::Direct => Ok(None),
            Contender::Ours => build_ours("virtproxyd").map(Some),
            Contender::C => find_c().map(Some),
        }
    }
}

impl Contender {
    /// Starts `program` in front of the daemon that listens on `server`, and waits until it listens.
    pub(super) fn start(
        self,
        program: Option<&Path>,
        server: &Path,
        interrupt: &Interrupt,
    ) -> Result<Started> {
        let Some(program) = program else {
            return Ok(Started {
                socket: server.to_owned(),
                via: None,
                proxy: None,
            });
        };
        let folder = temporary_folder()?;
        let mut settings = settings(folder.path());
        if self == Contender::Ours {
            let daemons = link_daemons(folder.path(), server)?;
            settings += &format!("daemon_sock_dir = \"{}\"\n", daemons.display());
        }
        let file = folder.path().join("virtproxyd.conf");
        fs::write(&file, settings).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(program);
        command.arg("-f").arg(file);
        command.arg("-p").arg(folder.path().join("pid"));
        let socket = folder.path().join("libvirt-sock");
        let ready = || UnixStream::connect(&socket).is_ok();
        let proxy = Proxy::start(command, folder, ready, interrupt)?;
        Ok(Started {
            socket,
            // It has no setting for where the daemons are, but a URI can say so.
            via: (self == Contender::C).then(|| server.to_owned()),
            proxy: Some(proxy),
        })
    }
}

/// A contender that accepts connections.
pub(super) struct Started {
    socket: PathBuf,
    /// What its URIs have to name as the daemon's socket.
    via: Option<PathBuf>,
    proxy: Option<Proxy>,
}

impl Started {
    /// How a client reaches the driver `scheme` through it; `path` is the rest of the URI.
    pub(super) fn peer(&self, scheme: &str, path: &str) -> Peer {
        let uri = match &self.via {
            None => format!("{scheme}://{path}"),
            Some(daemon) => format!("{scheme}+unix://{path}?socket={}", daemon.display()),
        };
        Peer {
            socket: self.socket.clone(),
            uri,
        }
    }

    /// The process to watch, if there is one.
    pub(super) fn watched(&self) -> Option<Watched> {
        self.proxy.as_ref().map(Proxy::watched)
    }
}

/// The configuration that all proxies share: their sockets and log in `folder`, nobody has to
/// authenticate himself, and no limit is met.
fn settings(folder: &Path) -> String {
    format!(
        "unix_sock_dir = \"{folder}\"\nlog_outputs = \"3:file:{folder}/log\"\n\
         auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n\
         max_clients = 10000\nmax_queued_clients = 1000\nmax_anonymous_clients = 1000\n",
        folder = folder.display()
    )
}

/// A folder where our virtproxyd finds the daemons of the schemes that are opened: they are all
/// `server`.
fn link_daemons(folder: &Path, server: &Path) -> Result<PathBuf> {
    let daemons = folder.join("daemons");
    fs::create_dir(&daemons).with_context(|| format!("cannot make {}", daemons.display()))?;
    for name in ["virttestd-sock", "virtstoraged-sock"] {
        let link = daemons.join(name);
        symlink(server, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(daemons)
}

/// libvirt's program; ours, which may be installed under the same name, says otherwise.
fn find_c() -> Result<PathBuf> {
    let program = first_file(&["/usr/sbin/virtproxyd", "/usr/local/sbin/virtproxyd"])?;
    let said = tree::output(Command::new(&program).arg("--version"))?;
    ensure!(
        said.contains("(libvirt)"),
        "{} is not libvirt's: {said}",
        program.display()
    );
    Ok(program)
}
