//! What a package must leave as it was.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::dist::root::Root;

/// Files that installing any package changes, and that of removing it does not change back.
const BOOKKEEPING: [&str; 9] = [
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/",
    "var/lib/",
    "var/log/",
];

/// Whose files are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Parts of the paths of files that are looked at in the folders of bookkeeping too.
    pub(super) ours: &'static [&'static str],
    /// Beginnings of the paths of files that others leave behind.
    pub(super) left_by_others: &'static [&'static str],
}

/// What the package must not change for good.
pub(super) struct State {
    files: BTreeSet<String>,
    users: String,
    groups: String,
    /// Files of packages that are not as they were installed.
    changed: String,
}

impl State {
    pub(super) fn of(root: &Root, scope: Scope) -> Result<State> {
        let mut files = root.files()?;
        files.retain(|file| !is_others(path_in(file), scope));
        Ok(State {
            files,
            users: root.read("/etc/passwd")?,
            groups: root.read("/etc/group")?,
            changed: root.run("dpkg --verify || :")?,
        })
    }

    pub(super) fn must_be(&self, before: &State) -> Result<()> {
        let left: Vec<_> = self.files.difference(&before.files).collect();
        let missing: Vec<_> = before.files.difference(&self.files).collect();
        ensure!(
            left.is_empty() && missing.is_empty(),
            "files are left, or changed: {left:#?}\nfiles are missing, or were: {missing:#?}"
        );
        ensure!(
            self.users == before.users,
            "users are left:\n{}",
            self.users
        );
        ensure!(
            self.groups == before.groups,
            "groups are left:\n{}",
            self.groups
        );
        ensure!(
            self.changed == before.changed,
            "files are changed:\n{}",
            self.changed
        );
        Ok(())
    }
}

/// The path in a line of [`Root::files`].
fn path_in(file: &str) -> &str {
    file.splitn(4, ' ').nth(3).unwrap_or_default()
}

/// Whether a file is not for the package to leave as it was.
fn is_others(path: &str, scope: Scope) -> bool {
    let starts = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    let is_ours = scope.ours.iter().any(|name| path.contains(name));
    starts(&BOOKKEEPING) && !is_ours || starts(scope.left_by_others)
}
