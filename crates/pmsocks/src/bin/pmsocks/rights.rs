//! Programs that get rights by being executed: setuid, setgid, file capabilities. The loader gives such
//! a program no library of ours, and a supervised one would not get its rights.

use std::path::Path;

use rustix::fs::{Stat, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::process::{getgid, getuid};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
/// Without it the setgid bit means something else (mandatory locking).
const GROUP_MAY_EXECUTE: u32 = 0o010;

/// The two bits of a `security.capability` attribute's head that are not rights.
const CAPABILITY_HEAD: usize = 4;

/// What this user would gain by executing the file, about which the system says `facts`, in words, or
/// `None` if nothing.
pub(crate) fn gained_by(path: &Path, facts: &Stat) -> Result<Option<&'static str>, Errno> {
    let setgid = SETGID | GROUP_MAY_EXECUTE;
    let how = if facts.st_mode & SETUID != 0 && facts.st_uid != getuid().as_raw() {
        "setuid"
    } else if facts.st_mode & setgid == setgid && facts.st_gid != getgid().as_raw() {
        "setgid"
    } else if !getuid().is_root() && has_capabilities(path) {
        "given capabilities"
    } else {
        return Ok(None);
    };
    let mount = rustix::fs::statvfs(path)?;
    let is_ignored = mount.f_flag.contains(StatVfsMountFlags::NOSUID);
    Ok((!is_ignored).then_some(how))
}

/// Whether the file has capabilities. An attribute that grants none does not count.
fn has_capabilities(path: &Path) -> bool {
    let mut value = [0_u8; 64];
    match rustix::fs::getxattr(path, "security.capability", &mut value[..]) {
        Ok(length) => value[..length]
            .iter()
            .skip(CAPABILITY_HEAD)
            .any(|byte| *byte != 0),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn gained_by(path: &Path) -> Option<&'static str> {
        let facts = rustix::fs::stat(path).unwrap();
        super::gained_by(path, &facts).unwrap()
    }

    #[test]
    fn a_plain_file_gives_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(gained_by(file.path()), None);
    }

    #[test]
    fn a_setuid_file_of_the_own_user_gives_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o6755)).unwrap();
        assert_eq!(gained_by(file.path()), None);
    }

    #[test]
    fn a_setuid_file_of_another_user_gives_rights() {
        if !getuid().is_root() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::chown(file.path(), Some(65534), None).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o4755)).unwrap();
        assert_eq!(gained_by(file.path()), Some("setuid"));
    }
}
