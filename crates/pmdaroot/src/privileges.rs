//! What this process may do: little of what root may.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

/// What stays of root's capabilities: entering namespaces of others, which takes `SYS_ADMIN` and, to
/// open them, `SYS_PTRACE`; ending processes of other users; state files and a folder for the socket
/// that belong to other users.
pub(crate) const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::DAC_OVERRIDE);

/// How many descriptors are enough for anybody: 60,000 clients.
const DESCRIPTORS: u64 = 1 << 16;

/// Gives up all capabilities but [`KEPT`], for this thread and those that it starts. A program that
/// is run as root has them again, unless [`forbid_new`] was called before.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    // In a container root may have less to begin with.
    let kept = capabilities(None)?.permitted & KEPT;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Whatever this thread runs from now on, and those that it starts, gets no more than it has.
pub(crate) fn forbid_new() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Makes room for many descriptors. Gives the limits from before, which started processes get, and
/// how many descriptors there may be now.
pub(crate) fn make_room() -> (Rlimit, u64) {
    let before = getrlimit(Resource::Nofile);
    let most = before.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    let now = before.current.unwrap_or(DESCRIPTORS);
    let wanted = Rlimit {
        current: Some(most),
        maximum: before.maximum,
    };
    if most <= now || setrlimit(Resource::Nofile, wanted).is_err() {
        return (before, now);
    }
    (before, most)
}
