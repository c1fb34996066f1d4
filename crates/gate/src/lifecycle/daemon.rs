//! Leaving the terminal, and the file that tells the daemon's process id.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};

use fork::{Fork, fork};
use nix::unistd::{chdir, setsid};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::folder::{Links, Place, with_rights_of};
use super::signals::let_signals_through;
use super::user::Account;

/// The process that starts a daemon. It waits until the daemon is ready, so that its exit status
/// tells whether the start went well: if the daemon ends before, the status is 1.
#[derive(Debug, Default)]
pub struct Starter {
    waiting: Option<PipeWriter>,
}

impl Starter {
    /// Makes this process a daemon: one of its own session, in the root folder. Its output still
    /// goes where it went. There must be one thread only, and paths that are still needed must be
    /// absolute.
    ///
    /// # Errors
    /// When the system cannot make the process.
    pub fn leave(&mut self) -> io::Result<()> {
        let (reader, writer) = io::pipe()?;
        if let Fork::Parent(_) = fork()? {
            drop(writer);
            wait_and_exit(reader);
        }
        self.waiting = Some(writer);
        setsid()?;
        chdir("/")?;
        Ok(())
    }

    /// Ends the starting process, if there is one that waits, and lets go of its terminal. With
    /// `keep_stderr`, standard error stays open, because the log goes there.
    ///
    /// # Errors
    /// When the system cannot open `/dev/null`.
    pub fn release(&mut self, keep_stderr: bool) -> io::Result<()> {
        let Some(mut starter) = self.waiting.take() else {
            return Ok(());
        };
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        if !keep_stderr {
            rustix::stdio::dup2_stderr(&null)?;
        }
        // It may have been killed; the daemon lives on.
        let _ = starter.write_all(&[0]);
        Ok(())
    }
}

fn wait_and_exit(mut daemon: PipeReader) -> ! {
    // Whoever loses patience may end the waiting.
    let _ = let_signals_through();
    let ready = daemon.read_exact(&mut [0]).is_ok();
    std::process::exit(if ready { 0 } else { 1 })
}

/// A file with the process id of the daemon, locked as long as the daemon lives and removed on drop.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _locked: File,
}

impl PidFile {
    /// Writes the id of this process to a new file, in place of what an earlier one left. `account`
    /// is the user that the daemon will be, who can then remove the file; where that user may not
    /// make it, root does, over no links but root's.
    ///
    /// # Errors
    /// When the file cannot be made, or belongs to a daemon that lives.
    pub fn create(path: &Path, account: Option<&Account>) -> io::Result<PidFile> {
        let path = std::path::absolute(path)?;
        if with_rights_of(account, |_| Ok(is_locked(&path)))? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it belongs to another process, which is running",
            ));
        }
        let make = |links: Links| Place::find(&path, links)?.replace();
        let mut file = with_rights_of(account, make)?;
        // Where locks do not work, nobody else is kept away.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        writeln!(file, "{}", std::process::id())?;
        Ok(PidFile {
            path,
            _locked: file,
        })
    }
}

/// Whether a process that lives has made this file. One that is no plain file is not waited for.
fn is_locked(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = std::process::id().to_string();
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == ours) {
            // Without the right to remove it, the next start overwrites it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_goes_with_the_daemon_unless_another_took_it_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.pid");
        let file = PidFile::create(&path, None).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());

        let file = PidFile::create(&path, None).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn the_pid_file_of_a_daemon_that_lives_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.pid");
        let first = PidFile::create(&path, None).unwrap();
        let error = PidFile::create(&path, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(path.exists());
        drop(first);
        std::fs::write(&path, "1\n").unwrap();
        PidFile::create(&path, None).unwrap();
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "data").unwrap();
        let path = folder.path().join("daemon.pid");
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        let _file = PidFile::create(&path, None).unwrap();
        assert!(!path.is_symlink());
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "data");
    }
}
