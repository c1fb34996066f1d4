//! Reads the files that certificates and keys lie in: plain ones of a reasonable size.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::{TlsError, TlsProblem};

/// The largest file that is read, in bytes; all authorities of the web together have 250 kB.
const MAX_SIZE: u64 = 4 << 20;

/// What only the owner of a private key may do: anything of "others", writing of the group.
const FORBIDDEN: u32 = 0o027;

/// Reads a file that anyone may read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let at = |problem: TlsProblem| problem.at(path.display().to_string());
    open(path).and_then(|file| contents(&file)).map_err(at)
}

/// Reads a private key, which must belong to root or `user` and be nobody else's business. Its
/// group may read it: daemons that share a key share a group.
pub(super) fn read_secret(path: &Path, user: u32) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let at = |problem: TlsProblem| problem.at(path.display().to_string());
    let file = open(path).map_err(at)?;
    check_secret(&file, user).map_err(at)?;
    contents(&file).map(Zeroizing::new).map_err(at)
}

fn open(path: &Path) -> Result<File, TlsProblem> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to would hold the daemon up.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(TlsProblem::Unreadable)?;
    let data = file.metadata().map_err(TlsProblem::Unreadable)?;
    if data.is_file() {
        Ok(file)
    } else {
        Err(TlsProblem::NotPlain)
    }
}

fn check_secret(file: &File, user: u32) -> Result<(), TlsProblem> {
    let data = file.metadata().map_err(TlsProblem::Unreadable)?;
    let mode = data.permissions().mode() & 0o7777;
    if mode & FORBIDDEN != 0 {
        return Err(TlsProblem::OpenToOthers(mode));
    }
    match data.uid() {
        0 => Ok(()),
        owner if owner == user => Ok(()),
        owner => Err(TlsProblem::ForeignOwner { owner, user }),
    }
}

fn contents(file: &File) -> Result<Vec<u8>, TlsProblem> {
    let size = file.metadata().map_err(TlsProblem::Unreadable)?.len();
    if size > MAX_SIZE {
        return Err(TlsProblem::TooLarge(MAX_SIZE));
    }
    // With room for all of it, no copy of a key is left behind where the buffer was before.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    let mut limited = file.take(MAX_SIZE + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(TlsProblem::Unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(TlsProblem::TooLarge(MAX_SIZE));
    }
    Ok(bytes)
}
