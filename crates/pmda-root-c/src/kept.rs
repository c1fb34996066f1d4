//! What has to be known of a descriptor from one call to the next: C programs hold nothing else.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pmda_root::{EndedProcesses, Version};

/// A connection that was made here.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// What the server speaks.
    pub(crate) version: Version,
    /// Processes whose end came while another was waited for.
    pub(crate) ended: EndedProcesses,
}

static KEPT: Mutex<BTreeMap<RawFd, Kept>> = Mutex::new(BTreeMap::new());

/// A panic leaves the table as it was: nothing that panics is done under the lock.
fn table() -> MutexGuard<'static, BTreeMap<RawFd, Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection is made; what was known of an earlier one with its number is forgotten.
pub(crate) fn begin(fd: RawFd, version: Version) {
    let ended = EndedProcesses::default();
    table().insert(fd, Kept { version, ended });
}

/// A connection ends.
pub(crate) fn end(fd: RawFd) {
    table().remove(&fd);
}

/// The version that the server speaks, as far as it is known.
pub(crate) fn version(fd: RawFd) -> Version {
    table()
        .get(&fd)
        .map_or(Version::default(), |kept| kept.version)
}

/// Takes the ends of processes out, to be put back with [`put_ended`].
pub(crate) fn take_ended(fd: RawFd) -> EndedProcesses {
    table()
        .get_mut(&fd)
        .map(|kept| std::mem::take(&mut kept.ended))
        .unwrap_or_default()
}

/// Puts the ends of processes back.
pub(crate) fn put_ended(fd: RawFd, ended: EndedProcesses) {
    if ended.is_empty() {
        return;
    }
    table().entry(fd).or_default().ended.append(ended);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_knows_nothing_of_an_earlier_one_with_its_number() {
        begin(1000, Version::V1);
        assert_eq!(version(1000), Version::V1);
        begin(1000, Version::V2);
        assert_eq!(version(1000), Version::V2);
        begin(1000, Version::V1);
        end(1000);
        assert_eq!(version(1000), Version::default());
    }
}
