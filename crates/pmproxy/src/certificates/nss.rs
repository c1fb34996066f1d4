//! The NSS database of `-C`, `-M` and `-P`: an identity out of it, and whom it trusts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail};
use gate::tls::{Authorities, Identity};
use nss_db::{NssDatabase, NssError, Password, TrustedAuthority};

use super::sources::Own;

/// Where the database lies unless `-C` says otherwise, as in the manual page.
pub(super) const USUAL_FOLDER: &str = "/etc/pki/nssdb";

/// The nickname of the certificate unless `-M` says otherwise.
const USUAL_NICKNAME: &str = "PCP Collector certificate";

/// Permissions of a password file that anyone but the owner could use.
const OTHERS: u32 = 0o077;

/// The longest password file, in bytes.
const MAX_PASSWORD: u64 = 1024;

/// A database and what is wanted of it.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) folder: PathBuf,
    nickname: String,
    password_file: Option<PathBuf>,
}

impl Database {
    /// The database of the options, if there are any.
    pub(super) fn of_options(
        folder: Option<&Path>,
        nickname: Option<&str>,
        password_file: Option<&Path>,
    ) -> Result<Option<Database>> {
        if folder.is_none() && nickname.is_none() && password_file.is_none() {
            return Ok(None);
        }
        let folder = folder.unwrap_or(Path::new(USUAL_FOLDER));
        Ok(Some(Database {
            folder: absolute(without_method(folder)?)?,
            nickname: nickname.unwrap_or(USUAL_NICKNAME).into(),
            password_file: password_file.map(absolute).transpose()?,
        }))
    }

    /// The usual one, which may be missing.
    pub(super) fn usual() -> Database {
        Database {
            folder: USUAL_FOLDER.into(),
            nickname: USUAL_NICKNAME.into(),
            password_file: None,
        }
    }

    /// What errors and the log call it.
    pub(super) fn source(&self) -> String {
        let (nickname, folder) = (&self.nickname, self.folder.display());
        format!("{nickname:?} of the NSS database {folder}")
    }

    /// Reads everything anew; `user` is who the daemon runs as.
    pub(super) fn load(&self, user: u32) -> Result<Own> {
        let password = match &self.password_file {
            Some(path) => read_password(path, user)
                .with_context(|| format!("-P {}: cannot use the password file", path.display()))?,
            None => Password::empty(),
        };
        let database = NssDatabase::open(&self.folder)?;
        let unlocked = database
            .unlock(&password)
            .map_err(|error| self.unlock_error(error))?;
        let found = unlocked.identity(&self.nickname)?;
        let source = self.source();
        let identity = Identity::from_der(&source, found.chain, found.key.pkcs8_der())?;
        let trusted = unlocked.trusted_authorities()?;
        let those = |wanted: fn(&TrustedAuthority) -> bool| {
            let wanted = trusted.iter().filter(|authority| wanted(authority));
            Authorities::from_der(&source, wanted.map(|authority| authority.der.clone()))
        };
        Ok(Own {
            identity,
            of_servers: those(|authority| authority.for_servers)?,
            of_clients: those(|authority| authority.for_clients)?,
            source,
        })
    }

    fn unlock_error(&self, error: NssError) -> anyhow::Error {
        let wrong = matches!(error, NssError::WrongPassword { .. });
        let needed = matches!(error, NssError::PasswordNeeded { .. });
        let error = anyhow::Error::new(error);
        match &self.password_file {
            Some(path) if wrong => error.context(format!("-P {}", path.display())),
            None if needed => error.context("a password file is needed (-P)"),
            _ => error,
        }
    }
}

/// Takes the `sql:` away that NSS's tools put before a folder.
fn without_method(folder: &Path) -> Result<&Path> {
    let Some(text) = folder.to_str() else {
        return Ok(folder);
    };
    if let Some(folder) = text.strip_prefix("dbm:") {
        bail!(
            "-C {text}: NSS databases of the old dbm format are not supported; convert it with \
             `certutil -K -X -d sql:{folder}`, then give -C sql:{folder}"
        );
    }
    Ok(text.strip_prefix("sql:").map_or(folder, Path::new))
}

fn read_password(path: &Path, user: u32) -> Result<Password> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to would hold the daemon up.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| told(&error))?;
    check_password_file(&file, user)?;
    // With room for all of it, no copy is left behind where the buffer was before.
    let mut password = Vec::with_capacity(usize::try_from(MAX_PASSWORD)? + 1);
    file.take(MAX_PASSWORD + 1)
        .read_to_end(&mut password)
        .map_err(|error| told(&error))?;
    if password.len() as u64 > MAX_PASSWORD {
        bail!("it is longer than {MAX_PASSWORD} bytes");
    }
    while let Some(b'\n' | b'\r') = password.last() {
        password.pop();
    }
    if password.is_empty() {
        bail!("it is empty");
    }
    Ok(Password::new(password))
}

fn check_password_file(file: &File, user: u32) -> Result<()> {
    let data = file.metadata().map_err(|error| told(&error))?;
    if !data.is_file() {
        bail!("it is not a plain file");
    }
    let mode = data.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        bail!("others than its owner may use it (mode {mode:04o}): make it 0400");
    }
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

    fn me() -> u32 {
        gate::lifecycle::Account::current_uid()
    }

    fn password_file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn refused(text: &str, mode: u32) -> String {
        let (_folder, path) = password_file(text, mode);
        read_password(&path, me()).unwrap_err().to_string()
    }

    #[test]
    fn a_private_password_file_is_read() {
        for mode in [0o400, 0o600] {
            let (_folder, path) = password_file("secret\n", mode);
            read_password(&path, me()).unwrap();
        }
    }

    #[test]
    fn a_password_file_that_others_can_read_or_that_has_no_password_is_refused() {
        assert_eq!(
            refused("secret", 0o644),
            "others than its owner may use it (mode 0644): make it 0400"
        );
        assert_eq!(refused("\n", 0o400), "it is empty");
        assert!(refused(&"x".repeat(1025), 0o400).ends_with("longer than 1024 bytes"));
    }

    #[test]
    fn a_pipe_is_no_password_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = read_password(&path, me()).unwrap_err();
        assert_eq!(error.to_string(), "it is not a plain file");
    }

    #[test]
    fn a_folder_may_have_the_prefix_of_the_format_that_is_supported() {
        let folder = |given: &str| {
            let database = Database::of_options(Some(Path::new(given)), None, None);
            database.map(|database| database.unwrap().folder)
        };
        assert_eq!(folder("sql:/a/db").unwrap(), Path::new("/a/db"));
        assert_eq!(folder("/a/db").unwrap(), Path::new("/a/db"));
        let error = folder("dbm:/a/db").unwrap_err().to_string();
        assert!(error.contains("old dbm format"), "{error}");
        let usual = Database::of_options(None, Some("x"), None)
            .unwrap()
            .unwrap();
        assert_eq!(usual.source(), "\"x\" of the NSS database /etc/pki/nssdb");
        assert!(Database::of_options(None, None, None).unwrap().is_none());
    }
}
