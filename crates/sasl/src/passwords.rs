//! The file in which libsasl2 keeps passwords (`sasldb_path` in the application's configuration): they
//! stand there as they are, so that nobody else may read it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::SaslError;

/// Folders in which libsasl2 looks for the configuration of an application, where neither it nor
/// `SASL_CONF_PATH` is told another.
const FOLDERS: &str = "/etc/sasl2:/etc/sasl:/usr/lib/sasl2";

/// The file where the configuration names none, on Debian and elsewhere.
const USUAL: &str = "/etc/sasldb2";

/// Permissions that somebody else has.
const OTHERS: u32 = 0o007;

/// Expects that the passwords for the application `app_name`, if there are any, are for their owner
/// and group alone. `config_folder` is as for [`Sasl::load`](crate::Sasl::load).
///
/// # Errors
/// [`SaslError::OpenPasswords`] names the file.
pub fn check_passwords(app_name: &str, config_folder: Option<&Path>) -> Result<(), SaslError> {
    let path = path_of_passwords(app_name, config_folder);
    // Without the file, nobody has a password in it.
    let Ok(data) = std::fs::metadata(&path) else {
        return Ok(());
    };
    let mode = data.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(SaslError::OpenPasswords { path, mode })
}

fn path_of_passwords(app_name: &str, folder: Option<&Path>) -> PathBuf {
    let folders = match folder {
        Some(folder) => folder.into(),
        None => std::env::var_os("SASL_CONF_PATH").unwrap_or_else(|| FOLDERS.into()),
    };
    let named = std::env::split_paths(&folders).find_map(|folder| {
        let text = std::fs::read(folder.join(format!("{app_name}.conf"))).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().find_map(sasldb_path)
    });
    named.unwrap_or_else(|| USUAL.into())
}

/// The path in `sasldb_path: PATH`.
fn sasldb_path(line: &str) -> Option<PathBuf> {
    let (key, value) = line.split_once(':')?;
    (key.trim() == "sasldb_path").then(|| value.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn passwords_are_for_owner_and_group_alone() {
        let folder = tempfile::tempdir().unwrap();
        let passwords = folder.path().join("passwords");
        let conf = format!(
            "# sasldb_path: /no\nsasldb_path : {}\n",
            passwords.display()
        );
        write(folder.path().join("libvirt.conf"), conf).unwrap();
        let check = || check_passwords("libvirt", Some(folder.path()));
        assert!(check().is_ok(), "without the file");
        write(&passwords, "secret").unwrap();
        for (mode, good) in [(0o600, true), (0o660, true), (0o604, false), (0o662, false)] {
            set_permissions(&passwords, Permissions::from_mode(mode)).unwrap();
            let checked = check();
            assert_eq!(checked.is_ok(), good, "{mode:o}");
            if let Err(error) = checked {
                let error = error.to_string();
                assert!(error.contains(passwords.to_str().unwrap()), "{error}");
            }
        }
    }
}
