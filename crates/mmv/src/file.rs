//! The file in the folder that the PMDA watches: made, updated, removed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, fstat, futimens, open, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::catalogue::Catalogue;
use crate::layout::{GENERATION, HEADER, Layout, MAGIC, PROCESS};

/// Everyone may read the file; only its owner may write it.
const MODE: Mode = Mode::from_raw_mode(0o644);

/// The PMDA looks into its folder again when that has changed, and several of its versions know the
/// second of the change only. One that looked just before the file came finds it once the folder is
/// touched after this time.
const FULL_SECOND: Duration = Duration::from_secs(1);

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another process of the same program tells its numbers there.
    #[error("process {process} has {}", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// The process.
        process: u32,
    },
    /// The system refused.
    #[error("cannot make {}: {source}", .path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file that the PMDA reads, removed on drop if it is still the one that was made.
#[derive(Debug)]
pub struct MmvFile {
    folder: OwnedFd,
    name: OsString,
    file: File,
    layout: Layout,
    values: usize,
    /// When it came, until the folder has been touched after [`FULL_SECOND`].
    appeared: Option<Instant>,
}

impl MmvFile {
    /// Makes the file `name` in `folder`, which must exist, with values of 0. It is complete when it
    /// appears. What was there is replaced, unless it is of another process that lives and has the
    /// same program name as this one. No link leads out of the folder.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn create(
        folder: &Path,
        name: &str,
        catalogue: &Catalogue,
    ) -> Result<MmvFile, CreateError> {
        let path = folder.join(name);
        let refuse = |source: io::Error| CreateError::System {
            path: path.clone(),
            source,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(folder, flags, Mode::empty()).map_err(|error| refuse(error.into()))?;
        if let Some(process) = owner(&folder, name) {
            return Err(CreateError::Taken { path, process });
        }
        let layout = Layout::new(catalogue, generation(), std::process::id());
        let file = place(&folder, name, &layout.bytes).map_err(refuse)?;
        Ok(MmvFile {
            folder,
            name: name.into(),
            file,
            layout,
            values: catalogue.values(),
            appeared: Some(Instant::now()),
        })
    }

    /// Writes new values, in the order that [`Catalogue::values`] tells. Those that are missing stay
    /// as they are.
    ///
    /// # Errors
    /// What the system says.
    pub fn update(&mut self, values: &[u64]) -> io::Result<()> {
        self.layout
            .set_values(&values[..values.len().min(self.values)]);
        let bytes = self.layout.values(self.values);
        self.file.write_all_at(bytes, self.layout.values as u64)?;
        if self
            .appeared
            .is_some_and(|appeared| appeared.elapsed() > FULL_SECOND)
        {
            self.appeared = None;
            touch(&self.folder)?;
        }
        Ok(())
    }

    fn is_in_place(&self) -> bool {
        let there = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let ours = fstat(&self.file);
        matches!((there, ours), (Ok(there), Ok(ours))
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
    }
}

impl Drop for MmvFile {
    fn drop(&mut self) {
        // A PMDA that has it mapped lets go of it at once. If this fails, it does so when it finds
        // that the process is gone.
        let _ = self.file.write_all_at(&[0; 8], GENERATION);
        if self.is_in_place() {
            let _ = unlinkat(&self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Writes a file beside its place, under a name that the PMDA passes over, and moves it there.
fn place(folder: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<File> {
    let draft = format!(".{name}.{}", std::process::id());
    match unlinkat(folder, &draft, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file: File = openat(folder, &draft, flags, MODE)?.into();
    let placed = file
        .write_all(bytes)
        .and_then(|()| Ok(renameat(folder, &draft, folder, name)?));
    if placed.is_err() {
        // Nothing but the draft is lost if it stays.
        let _ = unlinkat(folder, &draft, AtFlags::empty());
    }
    placed.map(|()| file)
}

/// The living process of this program, other than this one, that has the file.
fn owner(folder: &OwnedFd, name: &str) -> Option<u32> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file: File = openat(folder, name, flags, Mode::empty()).ok()?.into();
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    let process = header.get(PROCESS..)?.first_chunk()?;
    let process = u32::from_ne_bytes(*process);
    let program =
        |process: &dyn std::fmt::Display| std::fs::read(format!("/proc/{process}/comm")).ok();
    let is_of_us = header.starts_with(&MAGIC)
        && process != std::process::id()
        && program(&process)? == program(&"self")?;
    is_of_us.then_some(process)
}

/// A number that no earlier file in this place has.
fn generation() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since.map_or(1, |since| since.as_nanos());
    // It suffices until the year 2554, and must not be 0.
    u64::try_from(nanoseconds).unwrap_or(u64::MAX).max(1)
}

fn touch(folder: &OwnedFd) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(futimens(folder, &times)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use crate::Metric;
    use pcp_proto::{Semantics, Units};

    fn catalogue() -> Catalogue {
        let metric = Metric {
            name: "events",
            item: 1,
            semantics: Semantics::COUNTER,
            units: Units::COUNT,
            indom: None,
            short_help: "events",
            help: "events so far",
        };
        Catalogue::new(1, vec![], vec![metric]).unwrap()
    }

    fn create(folder: &Path) -> Result<MmvFile, CreateError> {
        MmvFile::create(folder, "program", &catalogue())
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_alone_in_its_folder_and_goes_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = create(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["program"]);
        let path = folder.path().join("program");
        let data = std::fs::metadata(&path).unwrap();
        assert_eq!(data.permissions().mode() & 0o7777, 0o644);
        let mapped = File::open(&path).unwrap();
        file.update(&[77]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().size(), data.size());
        let mut value = [0; 8];
        mapped
            .read_exact_at(&mut value, file.layout.values as u64)
            .unwrap();
        assert_eq!(u64::from_ne_bytes(value), 77);
        drop(file);
        assert!(names(folder.path()).is_empty());
        mapped.read_exact_at(&mut value, GENERATION).unwrap();
        assert_eq!(value, [0; 8]);
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_a_living_one_keeps_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let of = |process: u32| {
            let layout = Layout::new(&catalogue(), 1, process);
            std::fs::write(&path, layout.bytes).unwrap();
        };
        // Above every possible process identifier, and a process of another program.
        for process in [0x7fff_ffff, 1] {
            of(process);
            drop(create(folder.path()).unwrap());
            assert!(!path.exists());
        }
        // Our own identifier, which an earlier process may have had.
        of(std::process::id());
        drop(create(folder.path()).unwrap());

        // A process counts as one of this program by its name.
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let namesake = folder.path().join(name.trim_end());
        symlink("/bin/cat", &namesake).unwrap();
        let mut living = std::process::Command::new(&namesake)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Once it answers, it has become what it runs.
        living.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        let mut said = living.stdout.take().unwrap();
        said.read_exact(&mut [0]).unwrap();
        of(living.id());
        let refused = create(folder.path());
        living.kill().unwrap();
        living.wait().unwrap();
        let error = refused.unwrap_err();
        let same = matches!(error, CreateError::Taken { process, .. } if process == living.id());
        assert!(same, "{error}");
        assert!(path.exists());
        drop(create(folder.path()).unwrap());
    }

    #[test]
    fn a_file_that_took_the_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = create(folder.path()).unwrap();
        let path = folder.path().join("program");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "another's").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"another's");
    }

    #[test]
    fn links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "data").unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let draft = format!(".program.{}", std::process::id());
        symlink(&precious, inner.join("program")).unwrap();
        symlink(&precious, inner.join(draft)).unwrap();
        drop(create(&inner).unwrap());
        assert_eq!(std::fs::read(&precious).unwrap(), b"data");
        let link = folder.path().join("link");
        symlink(&inner, &link).unwrap();
        let error = create(&link).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot make ") && error.contains("link/program"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = create(Path::new("/no/such/folder"))
            .unwrap_err()
            .to_string();
        let expected =
            "cannot make /no/such/folder/program: No such file or directory (os error 2)";
        assert_eq!(error, expected);
    }

    #[test]
    fn the_folder_is_touched_once_after_a_full_second() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = create(folder.path()).unwrap();
        let changed = || {
            std::fs::metadata(folder.path())
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = UNIX_EPOCH;
        let opened = File::open(folder.path()).unwrap();
        opened.set_modified(before).unwrap();
        file.appeared = Some(Instant::now() + Duration::from_secs(60));
        file.update(&[1]).unwrap();
        assert_eq!(changed(), before);
        file.appeared = Instant::now().checked_sub(2 * FULL_SECOND);
        file.update(&[2]).unwrap();
        assert!(changed() > before);
        opened.set_modified(before).unwrap();
        file.update(&[3]).unwrap();
        assert_eq!(changed(), before);
    }
}
