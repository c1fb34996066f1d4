//! The folders in which a daemon makes its files, opened so that nobody leads root astray.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fstat, open, openat, readlinkat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::user::Account;

/// Symbolic links that may lie on the way to a folder, as for the kernel.
const MOST_LINKS: usize = 40;

/// Everyone may read what daemons write here; only their user may write it.
const MODE: Mode = Mode::from_raw_mode(0o644);

/// Whose symbolic links are followed on the way to a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// Anyone's: the process has no more rights than whoever could lay them.
    Anyones,
    /// Root's only.
    Roots,
}

/// A folder that is open, and the name of a file in it.
#[derive(Debug)]
pub(super) struct Place {
    folder: OwnedFd,
    name: OsString,
}

/// Makes a file with the rights of `account`, the user that the daemon will be. Where that user may
/// not, root's own rights are tried, and then no links but root's are followed.
pub(super) fn with_rights_of<T>(
    account: Option<&Account>,
    make: impl Fn(Links) -> io::Result<T>,
) -> io::Result<T> {
    match account {
        None => make(Links::Anyones),
        Some(account) => account
            .with_file_rights(|| make(Links::Anyones))
            .or_else(|_| make(Links::Roots)),
    }
}

/// Opens a file to add to it, and makes it if there is none. It must be a plain file or a device: a
/// symbolic link is not followed, and a pipe that nobody reads does not hold the daemon up.
///
/// # Errors
/// What the system says, or that it is another kind of file.
pub fn append_to(path: &Path) -> io::Result<File> {
    Place::find(path, Links::Anyones)?.append()
}

impl Place {
    /// The place of the file that `path`, which must be absolute for [`Links::Roots`], stands for.
    pub(super) fn find(path: &Path, links: Links) -> io::Result<Place> {
        let name = path.file_name().ok_or(Errno::ISDIR)?.to_owned();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = match links {
            Links::Anyones => open(parent, FOLDER, Mode::empty())?,
            Links::Roots => walk(parent)?,
        };
        Ok(Place { folder, name })
    }

    /// Renames the file, if it is a plain one, to the same name with `suffix`.
    pub(super) fn set_aside(&self, suffix: &str) -> io::Result<()> {
        let data = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(data.st_mode) == FileType::RegularFile {
            let mut aside = self.name.clone();
            aside.push(suffix);
            renameat(&self.folder, &self.name, &self.folder, aside)?;
        }
        Ok(())
    }

    /// See [`append_to`].
    pub(super) fn append(&self) -> io::Result<File> {
        let flags = OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.create(flags)?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile | FileType::CharacterDevice => Ok(file),
            _ => Err(io::Error::other("it is not a plain file")),
        }
    }

    /// Makes an empty file in place of what was there, whoever had made that.
    pub(super) fn replace(&self) -> io::Result<File> {
        match unlinkat(&self.folder, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => self.create(OFlags::EXCL),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.folder, &self.name, flags, MODE)?.into())
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a folder step by step, and follows a symbolic link only if it belongs to root.
fn walk(path: &Path) -> io::Result<OwnedFd> {
    let mut here = open("/", FOLDER, Mode::empty())?;
    let mut ahead: VecDeque<OsString> = steps(path).collect();
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(&here, &step, flags, Mode::empty())?;
        let data = fstat(&next)?;
        match FileType::from_raw_mode(data.st_mode) {
            FileType::Directory => here = next,
            FileType::Symlink if data.st_uid == 0 && links < MOST_LINKS => {
                links += 1;
                let target = readlinkat(&next, "", Vec::new())?.into_bytes();
                let target = OsString::from_vec(target);
                if target.as_bytes().starts_with(b"/") {
                    here = open("/", FOLDER, Mode::empty())?;
                }
                for step in steps(Path::new(&target)).rev() {
                    ahead.push_front(step);
                }
            }
            FileType::Symlink => return Err(Errno::LOOP.into()),
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(here)
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .map(|component| OsStr::to_owned(component.as_os_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    #[test]
    fn the_way_to_a_folder_may_lead_over_roots_links_only() {
        let (_scratch, path) = scratch();
        std::fs::create_dir_all(path.join("real/deep")).unwrap();
        symlink("real/../real", path.join("relative")).unwrap();
        symlink(path.join("relative"), path.join("absolute")).unwrap();
        let way = path.join("absolute/./deep/../deep/file");
        let found = Place::find(&way, Links::Roots);
        let strangers = std::os::unix::fs::lchown(path.join("relative"), Some(65534), None);
        if strangers.is_err() {
            // Not root: the links are a stranger's from the start.
            assert!(found.is_err());
            return;
        }
        found.unwrap().append().unwrap().write_all(b"!").unwrap();
        assert_eq!(std::fs::read(path.join("real/deep/file")).unwrap(), b"!");
        let error = Place::find(&way, Links::Roots).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert!(Place::find(&way, Links::Anyones).is_ok());
    }

    #[test]
    fn links_in_a_circle_end_somewhere() {
        let (_scratch, path) = scratch();
        symlink("b", path.join("a")).unwrap();
        symlink("a", path.join("b")).unwrap();
        assert!(Place::find(&path.join("a/file"), Links::Roots).is_err());
    }

    #[test]
    fn only_plain_files_and_devices_are_added_to() {
        let (_scratch, path) = scratch();
        let pipe = path.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(append_to(&pipe).is_err());
        let _reader = File::options().read(true).write(true).open(&pipe).unwrap();
        let error = append_to(&pipe).unwrap_err();
        assert_eq!(error.to_string(), "it is not a plain file");
        assert!(append_to(&path).is_err());
        assert!(append_to(Path::new("/")).is_err());
        assert!(append_to(Path::new("/dev/null")).is_ok());
    }

    #[test]
    fn only_a_plain_file_is_set_aside() {
        let (_scratch, path) = scratch();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::fs::write(path.join("file"), "old").unwrap();
        let place = |name: &str| Place::find(&path.join(name), Links::Anyones).unwrap();
        place("folder").set_aside(".prev").unwrap();
        place("file").set_aside(".prev").unwrap();
        assert!(path.join("folder").is_dir());
        assert_eq!(std::fs::read(path.join("file.prev")).unwrap(), b"old");
        assert!(place("file").set_aside(".prev").is_err());
    }

    #[test]
    fn a_hard_link_to_a_precious_file_is_replaced_and_the_file_left_alone() {
        let (_scratch, path) = scratch();
        std::fs::write(path.join("precious"), "data").unwrap();
        std::fs::hard_link(path.join("precious"), path.join("daemon.pid")).unwrap();
        let place = Place::find(&path.join("daemon.pid"), Links::Anyones).unwrap();
        place.replace().unwrap().write_all(b"1\n").unwrap();
        assert_eq!(std::fs::read(path.join("precious")).unwrap(), b"data");
        assert_eq!(std::fs::read(path.join("daemon.pid")).unwrap(), b"1\n");
    }
}
