//! The contenders, where their programs are, and how they are told what to do.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use testbed::clean_command;

use super::super::cargo_build_release;
use super::super::proxy::first_file;
use super::super::suite;
use super::load::Work;
use super::settings;
use crate::{startup, tree};

/// What takes a client through the firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Contender {
    /// Nothing: the client runs where there is no firewall in its way.
    Direct,
    /// The dialogue with the SOCKS server alone, without a client.
    Dialogue,
    /// The pmsocks of this workspace, with its library loaded into the client.
    Ours,
    /// The library alone, loaded into the client without the launcher.
    Library,
    /// Our pmsocks as a supervisor of the client.
    Supervise,
    Tsocks,
    Proxychains,
}

impl suite::Contender for Contender {
    const ALL: &'static [Contender] = &[
        Contender::Direct,
        Contender::Dialogue,
        Contender::Ours,
        Contender::Library,
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
            Contender::Library => "library",
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
            Contender::Library => "ours, library alone",
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
            Contender::Ours | Contender::Supervise => Ok(Some(assemble()?.join(LAUNCHER))),
            Contender::Library => Ok(Some(assemble()?.join(LIBRARY))),
            Contender::Tsocks => first_file(&["/usr/bin/tsocks"]).map(Some),
            Contender::Proxychains => first_file(&["/usr/bin/proxychains4"]).map(Some),
        }
    }
}

const LAUNCHER: &str = "pmsocks";
const LIBRARY: &str = "libpmsocks_preload.so";

/// Builds ours, and puts all parts into one folder: they look for each other beside themselves.
fn assemble() -> Result<PathBuf> {
    cargo_build_release("pmsocks")?;
    let built = tree::target()?.join("release");
    let folder = tree::target()?.join("bench-pmsocks");
    fs::create_dir_all(&folder)?;
    for (part, name) in [
        (startup::launcher()?.path, LAUNCHER),
        (built.join("pmsocks-connect"), "pmsocks-connect"),
        (startup::library()?, LIBRARY),
    ] {
        // One that is in use can't be written.
        let _ = fs::remove_file(folder.join(name));
        fs::copy(&part, folder.join(name))
            .with_context(|| format!("cannot copy {}", part.display()))?;
    }
    Ok(folder)
}

/// A contender with its program under a load, and the folder with the files that say where the
/// servers are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapper<'a> {
    pub(super) contender: Contender,
    pub(super) program: Option<&'a Path>,
    pub(super) work: Work,
    pub(super) folder: &'a Path,
}

impl Wrapper<'_> {
    /// The command that runs `client` through this contender.
    pub(super) fn command(&self, client: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = match self.contender {
            Contender::Dialogue => bail!("a dialogue alone runs no client"),
            Contender::Direct | Contender::Library => clean_command(client),
            _ => {
                let mut command = clean_command(self.program()?);
                command.args(self.options()).arg(client);
                command
            }
        };
        command.envs(self.environment()?);
        Ok(command)
    }

    fn program(&self) -> Result<&Path> {
        self.program.context("the contender has no program")
    }

    fn options(&self) -> Vec<OsString> {
        match (self.contender, self.work) {
            // The client is this program, which can also do without the C library.
            (Contender::Ours, Work::Connect { .. }) => ["--mode", "preload"].map(Into::into).into(),
            (Contender::Supervise, _) => ["--mode", "supervise"].map(Into::into).into(),
            (Contender::Proxychains, _) => {
                let file = settings::proxychains_file(self.folder, self.work.server());
                vec!["-q".into(), "-f".into(), file.into()]
            }
            _ => Vec::new(),
        }
    }

    fn environment(&self) -> Result<Vec<(&'static str, OsString)>> {
        let server = self.work.server();
        Ok(match self.contender {
            Contender::Tsocks => {
                let file = settings::tsocks_file(self.folder, server);
                vec![("TSOCKS_CONF_FILE", file.into())]
            }
            Contender::Ours | Contender::Library | Contender::Supervise => {
                let routes = settings::routes_file(self.folder, self.work.routes());
                let mut settings = vec![
                    ("PCP_SOCKS_CONF", routes.into()),
                    ("SOCKS_SERVER", server.address().to_string().into()),
                ];
                if self.contender == Contender::Library {
                    settings.push(("LD_PRELOAD", self.program()?.into()));
                }
                settings
            }
            Contender::Direct | Contender::Dialogue | Contender::Proxychains => Vec::new(),
        })
    }
}
