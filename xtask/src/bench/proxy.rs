//! A proxy that competes: its process, its folder, and what it said if it did not start.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::proc_fs::Watched;
use super::process::Running;
use crate::interrupt::Interrupt;

/// A proxy that accepts connections.
pub(super) struct Proxy {
    process: Running,
    /// Goes after the process.
    _folder: TempDir,
}

impl Proxy {
    /// Starts `command` and waits until it is `ready`. What it prints goes to the file `output` in
    /// its folder.
    pub(super) fn start(
        mut command: Command,
        folder: TempDir,
        ready: impl Fn() -> bool,
        interrupt: &Interrupt,
    ) -> Result<Proxy> {
        let output = File::create(folder.path().join("output")).context("cannot create a file")?;
        let errors = output
            .try_clone()
            .context("cannot duplicate a file's descriptor")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut process = Running::start(&mut command)?;
        process.await_ready(ready, interrupt).with_context(|| {
            let program = Path::new(command.get_program());
            format!("{} said: {}", program.display(), last_words(folder.path()))
        })?;
        Ok(Proxy {
            process,
            _folder: folder,
        })
    }

    pub(super) fn watched(&self) -> Watched {
        Watched(self.process.id())
    }
}

/// A folder that a proxy can write to whatever user it becomes.
pub(super) fn temporary_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("gatehouse-bench-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777))
        .context("cannot open up the temporary folder")?;
    Ok(folder)
}

pub(super) fn first_file(places: &[&str]) -> Result<PathBuf> {
    places
        .iter()
        .map(PathBuf::from)
        .find(|place| place.is_file())
        .with_context(|| format!("this machine has no {}", places.join(" or ")))
}

/// What a proxy that did not start left in its folder, on one line.
fn last_words(folder: &Path) -> String {
    let texts = ["output", "fatal", "log"].map(|name| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
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
