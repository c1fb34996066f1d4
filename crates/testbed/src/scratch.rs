//! Temporary folders of tests.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// A temporary folder that goes away when it is dropped. A daemon that is started by root may
/// become the user `pcp`, so the folder belongs to that user where there is one.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new, empty folder.
    ///
    /// # Errors
    /// When it cannot be made, or not be given to `pcp`.
    pub fn new() -> Result<Scratch> {
        let folder = tempfile::Builder::new()
            .prefix("gatehouse-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let scratch = Scratch { folder };
        scratch.give_to_pcp(scratch.path())?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into it and gives the file's path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.give_to_pcp(&path)?;
        Ok(path)
    }

    /// Makes a folder in it and gives its path.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        self.give_to_pcp(&path)?;
        Ok(path)
    }

    /// Lets everybody on the machine into it, for what other users connect to.
    ///
    /// # Errors
    /// When its mode cannot be changed.
    pub fn share(&self) -> Result<()> {
        std::fs::set_permissions(self.path(), Permissions::from_mode(0o755))
            .with_context(|| format!("cannot open {} to all", self.path().display()))
    }

    /// Only root can, and only root's daemons need it.
    fn give_to_pcp(&self, path: &Path) -> Result<()> {
        if !Uid::effective().is_root() {
            return Ok(());
        }
        let Some(pcp) = User::from_name("pcp").context("cannot look up the user pcp")? else {
            return Ok(());
        };
        chown(path, Some(pcp.uid.as_raw()), Some(pcp.gid.as_raw()))
            .with_context(|| format!("cannot give {} to the user pcp", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_when_it_is_dropped() {
        let scratch = Scratch::new().unwrap();
        let file = scratch.write("note", "text").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
        let folder = scratch.path().to_owned();
        drop(scratch);
        assert!(!folder.exists());
    }
}
