//! The socket for collectors: made for one user, and removed at the end.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, open};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::umask;

use crate::log;

/// How many connections may wait to be accepted; the kernel may have a lower limit.
const BACKLOG: i32 = 4096;

/// The user of PCP's daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Finds a user by name.
    pub(crate) fn named(name: &str) -> Option<User> {
        match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => Some(User {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            }),
            Ok(None) => {
                log::error!("there is no user {name:?}: only root is served");
                None
            }
            Err(error) => {
                log::error!("cannot look up the user {name:?} ({error}): only root is served");
                None
            }
        }
    }
}

/// A socket that is listened on. When it is dropped, its file goes.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and number of the file, so that no other is removed.
    file: Option<(u64, u64)>,
}

impl Listener {
    /// Makes the socket for `user`. With `is_usual` its folder is the one that PCP has for it, and
    /// is opened for that user.
    pub(crate) fn bind(path: &Path, user: Option<User>, is_usual: bool) -> io::Result<Listener> {
        if let Some(folder) = path.parent() {
            prepare_folder(folder, user, is_usual)?;
        }
        remove_old(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let address = SocketAddrUnix::new(path)?;
        // Nobody gets in before it belongs to whom it should. No other thread makes files now.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = bind(&socket, &address);
        umask(before);
        bound?;
        let found = fs::symlink_metadata(path).ok();
        let listener = Listener {
            socket,
            path: path.to_owned(),
            file: found.map(|file| (file.dev(), file.ino())),
        };
        if let Some(user) = user {
            give_to(path, user)?;
        }
        listen(&listener.socket, BACKLOG)?;
        Ok(listener)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path).ok();
        if found.map(|file| (file.dev(), file.ino())) != self.file {
            // Another one has taken the place.
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            log::error!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Makes the socket a user's. The folder may belong to that user, who could put another file in its
/// place: only a new socket of root's with no other name is given away.
fn give_to(path: &Path, user: User) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.file_type().is_socket() || found.uid() != 0 || found.nlink() != 1 {
        let text = "something else has taken the place of the socket";
        return Err(io::Error::other(text));
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    Ok(chownat(
        &file,
        "",
        Some(uid),
        Some(gid),
        AtFlags::EMPTY_PATH,
    )?)
}

fn prepare_folder(folder: &Path, user: Option<User>, is_usual: bool) -> io::Result<()> {
    if !folder.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
    } else if !is_usual {
        return Ok(());
    }
    let found = fs::metadata(folder)?;
    if let Some(user) = user
        && found.uid() == 0
        && found.gid() != user.gid
    {
        // The package leaves it to root alone, and then the socket is of no use to the user.
        lchown(folder, None, Some(user.gid))?;
        fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    }
    Ok(())
}

/// Removes what an earlier one has left, if it is a socket.
fn remove_old(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => {
            let text = format!("{} is there already and no socket", path.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn nothing_but_the_new_socket_is_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let (user, place) = (User { uid: 12, gid: 34 }, folder.path().join("place"));
        let owner = |path: &Path| {
            let found = fs::symlink_metadata(path).unwrap();
            (found.uid(), found.gid())
        };
        let precious = folder.path().join("precious");
        fs::write(&precious, "").unwrap();
        fs::hard_link(&precious, &place).unwrap();
        assert!(give_to(&place, user).is_err());
        assert_eq!(owner(&precious).0, 0);
        fs::remove_file(&place).unwrap();
        let _other = UnixListener::bind(folder.path().join("other")).unwrap();
        fs::hard_link(folder.path().join("other"), &place).unwrap();
        assert!(give_to(&place, user).is_err());
        fs::remove_file(&place).unwrap();
        std::os::unix::fs::symlink(&precious, &place).unwrap();
        assert!(give_to(&place, user).is_err());
        fs::remove_file(&place).unwrap();
        let _socket = UnixListener::bind(&place).unwrap();
        give_to(&place, user).unwrap();
        assert_eq!(owner(&place), (12, 34));
    }
}
