//! The group that the unix sockets belong to.

use nix::unistd::Group;

/// The id of a group by name; a number, or a number after `+`, is an id itself, as for libvirt.
///
/// # Errors
/// What is wrong with the name, as words for the log.
pub(crate) fn group_id(name: &str) -> Result<u32, String> {
    let number = name.strip_prefix('+').unwrap_or(name);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let group = if name.starts_with('+') {
        None
    } else {
        Group::from_name(name).map_err(|error| format!("cannot look up group {name:?}: {error}"))?
    };
    match group {
        Some(group) => Ok(group.gid.as_raw()),
        None => is_number
            .then(|| number.parse().ok())
            .flatten()
            .ok_or_else(|| format!("there is no group {name:?}")),
    }
}
