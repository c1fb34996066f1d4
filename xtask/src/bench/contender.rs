//! The contenders: where their programs are, and how one is started in front of the stub server.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::certificates::Certificates;
use super::peer::{Handshake, Peer};
use super::proc_fs::Watched;
use super::process::{Running, free_address};
use crate::interrupt::Interrupt;

/// What stands between the load generator and the stub server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// Nothing: the limit.
    Direct,
    /// The pmproxy of this workspace.
    Ours,
    /// The same without counting PDUs by type: what its numbers cost.
    OursUncounted,
    /// PCP's own pmproxy as it is started by default.
    C,
    /// PCP's own pmproxy in its older mode, with `-d`.
    CDeprecated,
    /// haproxy in TCP mode with one thread.
    Haproxy,
    /// Nothing, with TLS end to end: the limit of those that follow.
    DirectTls,
    /// Ours with a certificate: TLS on either side of it.
    OursTls,
    /// Ours with a certificate, TLS from the client's first byte on, and none towards the server.
    OursDoor,
    /// Ours without a certificate: TLS end to end.
    OursThrough,
    /// PCP's own pmproxy without a certificate: TLS end to end.
    CThrough,
}

impl Contender {
    pub(super) const ALL: [Contender; 11] = [
        Contender::Direct,
        Contender::Ours,
        Contender::OursUncounted,
        Contender::C,
        Contender::CDeprecated,
        Contender::Haproxy,
        Contender::DirectTls,
        Contender::OursTls,
        Contender::OursDoor,
        Contender::OursThrough,
        Contender::CThrough,
    ];

    /// Those that compete when `--contender` does not choose.
    pub(super) const DEFAULT: [Contender; 7] = [
        Contender::Direct,
        Contender::Ours,
        Contender::C,
        Contender::Haproxy,
        Contender::DirectTls,
        Contender::OursTls,
        Contender::OursDoor,
    ];

    /// What `--contender` calls it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Ours => "ours",
            Contender::OursUncounted => "ours-uncounted",
            Contender::C => "c",
            Contender::CDeprecated => "c-d",
            Contender::Haproxy => "haproxy",
            Contender::DirectTls => "direct-tls",
            Contender::OursTls => "ours-tls",
            Contender::OursDoor => "ours-door",
            Contender::OursThrough => "ours-through",
            Contender::CThrough => "c-through",
        }
    }

    /// What the tables call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Ours => "ours",
            Contender::OursUncounted => "ours, uncounted",
            Contender::C => "C pmproxy",
            Contender::CDeprecated => "C pmproxy -d",
            Contender::Haproxy => "haproxy",
            Contender::DirectTls => "direct, TLS",
            Contender::OursTls => "ours, TLS",
            Contender::OursDoor => "ours, TLS at the door",
            Contender::OursThrough => "ours, TLS passed through",
            Contender::CThrough => "C pmproxy, TLS passed through",
        }
    }

    /// Whether there is no proxy at all.
    pub(super) fn is_direct(self) -> bool {
        matches!(self, Contender::Direct | Contender::DirectTls)
    }

    /// How its clients turn to TLS, if they do.
    pub(super) fn handshake(self) -> Option<Handshake> {
        match self {
            Contender::Direct
            | Contender::Ours
            | Contender::OursUncounted
            | Contender::C
            | Contender::CDeprecated
            | Contender::Haproxy => None,
            Contender::DirectTls
            | Contender::OursTls
            | Contender::OursThrough
            | Contender::CThrough => Some(Handshake::AfterCredentials),
            Contender::OursDoor => Some(Handshake::AtTheDoor),
        }
    }

    /// Whether it is a proxy with a certificate of its own.
    fn has_certificate(self) -> bool {
        matches!(self, Contender::OursTls | Contender::OursDoor)
    }

    /// Its program, if the machine has it; a direct connection needs none.
    pub(super) fn program(self) -> Result<Option<PathBuf>> {
        match self {
            Contender::Direct | Contender::DirectTls => Ok(None),
            Contender::Ours
            | Contender::OursUncounted
            | Contender::OursTls
            | Contender::OursDoor
            | Contender::OursThrough => build_ours().map(Some),
            Contender::C | Contender::CDeprecated | Contender::CThrough => {
                first_file(&["/usr/lib/pcp/bin/pmproxy", "/usr/libexec/pcp/bin/pmproxy"]).map(Some)
            }
            Contender::Haproxy => {
                first_file(&["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]).map(Some)
            }
        }
    }

    /// Starts `program` in front of the stub server and waits until it listens.
    pub(super) fn start(
        self,
        program: Option<&Path>,
        stub: SocketAddr,
        certificates: &Certificates,
        interrupt: &Interrupt,
    ) -> Result<Started> {
        let Some(program) = program else {
            return Ok(Started {
                peer: Peer {
                    address: stub,
                    target: None,
                },
                proxy: None,
            });
        };
        let address = free_address()?;
        let folder = temporary_folder()?;
        let (mut command, target) = match self {
            Contender::Haproxy => (haproxy(program, &folder, address, stub)?, None),
            _ => {
                let mut command = self.pmproxy(program, &folder, address)?;
                let tls_conf = certificates.tls_conf(self.has_certificate());
                command.env("PCP_TLSCONF_PATH", tls_conf);
                (command, Some(stub))
            }
        };
        let mut process = Running::start(with_output(&mut command, &folder)?)?;
        process
            .await_listening(address, interrupt)
            .with_context(|| format!("{} said: {}", program.display(), last_words(&folder)))?;
        let proxy = Some(Proxy {
            process,
            _folder: folder,
        });
        Ok(Started {
            peer: Peer { address, target },
            proxy,
        })
    }

    fn pmproxy(self, program: &Path, folder: &TempDir, address: SocketAddr) -> Result<Command> {
        let mut command = Command::new(program);
        if self == Contender::CDeprecated {
            command.arg("-d");
        }
        command
            .args(["-f", "-A", "-i"])
            .arg(address.ip().to_string());
        command.arg("-p").arg(address.port().to_string());
        command.arg("-l").arg(folder.path().join("log"));
        command.arg("-s").arg(folder.path().join("socket"));
        command.arg("-x").arg(folder.path().join("fatal"));
        // What the user's shell says about a pmproxy is not about this one.
        for (name, _) in std::env::vars_os() {
            let bytes = name.as_encoded_bytes();
            if bytes.starts_with(b"PMPROXY_") || bytes == b"PCP_SECURE_SOCKETS" {
                command.env_remove(name);
            }
        }
        let folder = folder.path();
        if let Some(count_pdus) = self.counts_pdus() {
            let file = folder.join("pmproxy.conf");
            let text = format!("[pmproxy]\ncounters.pdus = {count_pdus}\n");
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            command.arg("-c").arg(file);
            command.env("PMPROXY_ADMIN_SOCKET", folder.join("admin"));
            command.env("PCP_TMP_DIR", folder);
        }
        Ok(command)
    }

    /// Whether it is one of ours, and one that counts PDUs.
    fn counts_pdus(self) -> Option<bool> {
        match self {
            Contender::Ours | Contender::OursTls | Contender::OursDoor | Contender::OursThrough => {
                Some(true)
            }
            Contender::OursUncounted => Some(false),
            _ => None,
        }
    }
}

/// A contender that accepts connections.
pub(super) struct Started {
    pub(super) peer: Peer,
    proxy: Option<Proxy>,
}

impl Started {
    /// The process to watch, if there is one.
    pub(super) fn watched(&self) -> Option<Watched> {
        self.proxy.as_ref().map(|proxy| Watched(proxy.process.id()))
    }
}

/// A proxy's process, and its folder, which goes after it.
struct Proxy {
    process: Running,
    _folder: TempDir,
}

/// Builds our pmproxy beside this program, which is a release build itself.
fn build_ours() -> Result<PathBuf> {
    super::cargo_build_release("pmproxy")?;
    let this = std::env::current_exe().context("cannot find the running program")?;
    let ours = this.with_file_name("pmproxy");
    anyhow::ensure!(ours.is_file(), "the build left no {}", ours.display());
    Ok(ours)
}

fn first_file(places: &[&str]) -> Result<PathBuf> {
    places
        .iter()
        .map(PathBuf::from)
        .find(|place| place.is_file())
        .with_context(|| format!("this machine has no {}", places.join(" or ")))
}

/// A folder that a proxy can write to whatever user it becomes.
fn temporary_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("pmproxy-bench-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777))
        .context("cannot open up the temporary folder")?;
    Ok(folder)
}

fn haproxy(
    program: &Path,
    folder: &TempDir,
    address: SocketAddr,
    stub: SocketAddr,
) -> Result<Command> {
    let file = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 1\n  maxconn 5000\n\
         defaults\n  mode tcp\n  maxconn 5000\n  timeout connect 5s\n  timeout client 1h\n  \
         timeout server 1h\n\
         listen bench\n  bind {address}\n  server stub {stub}\n"
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new(program);
    command.args(["-db", "-q", "-f"]).arg(file);
    Ok(command)
}

/// Sends what a proxy prints to a file in its folder, for [`last_words`].
fn with_output<'a>(command: &'a mut Command, folder: &TempDir) -> Result<&'a mut Command> {
    let output = File::create(folder.path().join("output")).context("cannot create a file")?;
    let errors = output
        .try_clone()
        .context("cannot duplicate a file's descriptor")?;
    Ok(command.stdin(Stdio::null()).stdout(output).stderr(errors))
}

/// What a proxy that did not start left in its folder, on one line.
fn last_words(folder: &TempDir) -> String {
    let texts = ["output", "fatal", "log"].map(|name| {
        let bytes = fs::read(folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    let said = texts.join(" ");
    if said.trim().is_empty() {
        "nothing".into()
    } else {
        said.trim().into()
    }
}
