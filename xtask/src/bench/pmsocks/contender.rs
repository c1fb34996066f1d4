//! The contenders, where their programs are, and how they are told what to do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use testbed::clean_command;

use super::super::proxy::first_file;
use super::super::suite;
use super::super::{build_ours, cargo_build_release};
use super::settings::{self, Routes};
use super::sides::Server;

/// What takes a client through the firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Contender {
    /// Nothing: the client runs where there is no firewall in its way.
    Direct,
    /// The dialogue with the SOCKS server alone, without a client.
    Dialogue,
    /// The pmsocks of this workspace, with its library loaded into the client.
    Ours,
    /// The same, as a supervisor of the client.
    Supervise,
    Tsocks,
    Proxychains,
}

impl suite::Contender for Contender {
    const ALL: &'static [Contender] = &[
        Contender::Direct,
        Contender::Dialogue,
        Contender::Ours,
        Contender::Supervise,
        Contender::Tsocks,
        Contender::Proxychains,
    ];
    const DEFAULT: &'static [Contender] = Contender::ALL;
    const REFERENCES: &'static [Contender] = &[Contender::Direct, Contender::Tsocks];

    fn key(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Dialogue => "dialogue",
            Contender::Ours => "ours",
            Contender::Supervise => "supervise",
            Contender::Tsocks => "tsocks",
            Contender::Proxychains => "proxychains4",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Dialogue => "bare dialogue",
            Contender::Ours => "ours",
            Contender::Supervise => "ours, supervising",
            Contender::Tsocks => "tsocks",
            Contender::Proxychains => "proxychains4",
        }
    }

    fn is_direct(self) -> bool {
        self == Contender::Direct
    }

    fn program(self) -> Result<Option<PathBuf>> {
        match self {
            Contender::Direct | Contender::Dialogue => Ok(None),
            Contender::Ours | Contender::Supervise => build_pmsocks().map(Some),
            Contender::Tsocks => first_file(&["/usr/bin/tsocks"]).map(Some),
            Contender::Proxychains => first_file(&["/usr/bin/proxychains4"]).map(Some),
        }
    }
}

/// The launcher, which finds the library beside itself.
fn build_pmsocks() -> Result<PathBuf> {
    let launcher = build_ours("pmsocks")?;
    cargo_build_release("pmsocks-preload")?;
    let library = launcher.with_file_name("libpmsocks_preload.so");
    ensure!(library.is_file(), "the build left no {}", library.display());
    Ok(launcher)
}

/// A contender with its program, and the folder with the files that say where the servers are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapper<'a> {
    pub(super) contender: Contender,
    pub(super) program: Option<&'a Path>,
    pub(super) folder: &'a Path,
}

impl Wrapper<'_> {
    /// The command that runs `client` through this contender, which uses `server` where its routes
    /// say so.
    pub(super) fn command(
        &self,
        server: Server,
        routes: Routes,
        client: impl AsRef<OsStr>,
    ) -> Result<Command> {
        let program = || self.program.context("the contender has no program");
        let mut command = match self.contender {
            Contender::Direct => return Ok(clean_command(client)),
            Contender::Dialogue => bail!("a dialogue alone runs no client"),
            Contender::Ours | Contender::Supervise => {
                let mut command = clean_command(program()?);
                command.env("PCP_SOCKS_CONF", settings::routes_file(self.folder, routes));
                command.env("SOCKS_SERVER", server.address().to_string());
                command
            }
            Contender::Tsocks => {
                let mut command = clean_command(program()?);
                let file = settings::tsocks_file(self.folder, server);
                command.env("TSOCKS_CONF_FILE", file);
                command
            }
            Contender::Proxychains => {
                let mut command = clean_command(program()?);
                command.arg("-q").arg("-f");
                command.arg(settings::proxychains_file(self.folder, server));
                command
            }
        };
        if self.contender == Contender::Supervise {
            command.args(["--mode", "supervise"]);
        }
        command.arg(client);
        Ok(command)
    }
}
