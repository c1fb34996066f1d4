//! What `/proc` tells of processes.

use std::path::Path;

use crate::files;

/// The fields of `/proc/PID/stat` behind the name, which may hold anything: the first is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = files::read_text(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// When a process started, in clock ticks since the machine did: with its number it tells the
/// process from all others. `None` if there is none, or only what its parent has not collected.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = stat(pid)?;
    if matches!(stat.first()?.as_str(), "Z" | "X") {
        return None;
    }
    stat.get(19)?.parse().ok()
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_parent_and_a_time_and_one_that_has_ended_has_none() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(parent(child.id()), Some(std::process::id()));
        assert!(started(child.id()) >= started(std::process::id()));
        child.kill().unwrap();
        testbed::eventually(testbed::PATIENCE, "it to end", || {
            started(child.id()).is_none()
        })
        .unwrap();
        child.wait().unwrap();
        assert_eq!(parent(child.id()), None);
    }
}
