//! What `-C`, `-M` and `-P` say of the certificate database, checked before any port is opened.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use gate::lifecycle::Account;

/// Permissions that anyone but the owner could use.
const OTHERS: u32 = 0o077;

/// Checks what was given and gives remarks for the log.
pub(crate) fn check(
    database: Option<&Path>,
    name: Option<&str>,
    password_file: Option<&Path>,
    account: Option<&Account>,
) -> Result<Vec<String>> {
    if let Some(folder) = database {
        check_database(folder).with_context(|| {
            format!(
                "-C {}: cannot use the certificate database",
                folder.display()
            )
        })?;
    }
    if let Some(path) = password_file {
        let readable = || check_password_file(path, account);
        account
            .map_or_else(readable, |account| account.with_file_rights(readable))
            .with_context(|| format!("-P {}: cannot use the password file", path.display()))?;
    }
    let given = database.is_some() || name.is_some() || password_file.is_some();
    Ok(given
        .then(|| {
            "-C, -M and -P have no effect yet: secure connections pass through to pmcd end to end"
                .into()
        })
        .into_iter()
        .collect())
}

fn check_database(folder: &Path) -> Result<()> {
    let data = std::fs::metadata(folder).map_err(|error| told(&error))?;
    if !data.is_dir() {
        bail!("it is not a folder");
    }
    Ok(())
}

fn check_password_file(path: &Path, account: Option<&Account>) -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to would hold the daemon up.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| told(&error))?;
    let data = file.metadata().map_err(|error| told(&error))?;
    if !data.is_file() {
        bail!("it is not a plain file");
    }
    let mode = data.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        bail!("others than its owner may use it (mode {mode:04o}): make it 0400");
    }
    let user = account.map_or_else(Account::current_uid, Account::uid);
    if data.uid() != user {
        bail!(
            "it belongs to user {}, but pmproxy runs as user {user}",
            data.uid()
        );
    }
    Ok(())
}

fn told(error: &io::Error) -> anyhow::Error {
    anyhow::Error::msg(gate::describe(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password_file(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_private_password_file_is_accepted() {
        for mode in [0o400, 0o600] {
            let (_folder, path) = password_file(mode);
            assert_eq!(check(None, None, Some(&path), None).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_password_file_that_others_can_read_is_refused() {
        let (_folder, path) = password_file(0o644);
        let error = format!("{:#}", check(None, None, Some(&path), None).unwrap_err());
        assert!(
            error.ends_with("others than its owner may use it (mode 0644): make it 0400"),
            "{error}"
        );
    }

    #[test]
    fn a_pipe_is_no_password_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = format!("{:#}", check(None, None, Some(&path), None).unwrap_err());
        assert!(error.ends_with("it is not a plain file"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = Path::new("/no/such/place");
        let error = format!("{:#}", check(Some(missing), None, None, None).unwrap_err());
        assert_eq!(
            error,
            "-C /no/such/place: cannot use the certificate database: No such file or directory"
        );
        let error = format!("{:#}", check(None, None, Some(missing), None).unwrap_err());
        assert!(error.ends_with("cannot use the password file: No such file or directory"));
    }
}
