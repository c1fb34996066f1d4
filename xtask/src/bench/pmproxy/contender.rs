//! The contenders: where their programs are, and how one is started in front of the stub server.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::super::build_ours;
use super::super::proc_fs::Watched;
use super::super::process::free_address;
use super::super::proxy::{Proxy, first_file, temporary_folder};
use super::certificates::Certificates;
use super::peer::{Handshake, Peer};
use crate::interrupt::Interrupt;

/// What stands between the load generator and the stub server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Contender {
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

impl super::super::suite::Contender for Contender {
    const ALL: &'static [Contender] = &[
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

    const DEFAULT: &'static [Contender] = &[
        Contender::Direct,
        Contender::Ours,
        Contender::C,
        Contender::Haproxy,
        Contender::DirectTls,
        Contender::OursTls,
        Contender::OursDoor,
    ];

    const REFERENCES: &'static [Contender] = &[
        Contender::Direct,
        Contender::OursUncounted,
        Contender::C,
        Contender::Haproxy,
    ];

    fn key(self) -> &'static str {
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

    fn name(self) -> &'static str {
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

    fn is_direct(self) -> bool {
        matches!(self, Contender::Direct | Contender::DirectTls)
    }

    fn program(self) -> Result<Option<PathBuf>> {
        match self {
            Contender::Direct | Contender::DirectTls => Ok(None),
            Contender::Ours
            | Contender::OursUncounted
            | Contender::OursTls
            | Contender::OursDoor
            | Contender::OursThrough => build_ours("pmproxy").map(Some),
            Contender::C | Contender::CDeprecated | Contender::CThrough => {
                first_file(&["/usr/lib/pcp/bin/pmproxy", "/usr/libexec/pcp/bin/pmproxy"]).map(Some)
            }
            Contender::Haproxy => {
                first_file(&["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]).map(Some)
            }
        }
    }
}

impl Contender {
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
        let (command, target) = match self {
            Contender::Haproxy => (haproxy(program, &folder, address, stub)?, None),
            _ => {
                let mut command = self.pmproxy(program, &folder, address)?;
                let tls_conf = certificates.tls_conf(self.has_certificate());
                command.env("PCP_TLSCONF_PATH", tls_conf);
                (command, Some(stub))
            }
        };
        let ready = || TcpStream::connect(address).is_ok();
        Ok(Started {
            peer: Peer { address, target },
            proxy: Some(Proxy::start(command, folder, ready, interrupt)?),
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
        self.proxy.as_ref().map(Proxy::watched)
    }
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
