//! Users whom libsasl2 knows, and their passwords as libvirt's clients find them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::packages;
use crate::process::clean_command;
use crate::scratch::Scratch;

/// A folder with a configuration of libsasl2 for the application `libvirt`, and a database of users.
/// `SASL_CONF_PATH` points a daemon to it.
#[derive(Debug)]
pub struct SaslUsers {
    scratch: Scratch,
}

impl SaslUsers {
    /// Makes them of names and passwords. `mechanisms` are those that are allowed, with spaces
    /// between.
    ///
    /// # Errors
    /// When a package is missing or a user cannot be made.
    pub fn new(users: &[(&str, &str)], mechanisms: &str) -> Result<SaslUsers> {
        packages::require("sasl2-bin")?;
        packages::require("libsasl2-modules")?;
        let scratch = Scratch::new()?;
        let database = scratch.join("sasldb");
        let config = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: {mechanisms}\n",
            database.display()
        );
        scratch.write("libvirt.conf", config)?;
        for (user, password) in users {
            add(&database, user, password).with_context(|| format!("cannot add {user}"))?;
        }
        Ok(SaslUsers { scratch })
    }

    /// Where `libvirt.conf` is.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// A file that tells clients of libvirt who they are (`authfile` in a URI), for a daemon at
    /// `host`: the host of the URI, or `localhost` for a unix socket.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn authfile(&self, host: &str, user: &str, password: &str) -> Result<PathBuf> {
        let text = format!(
            "[credentials-test]\nauthname={user}\npassword={password}\n\n\
             [auth-libvirt-{host}]\ncredentials=test\n"
        );
        self.scratch.write("authfile", text)
    }
}

/// The password goes through a pipe.
fn add(database: &Path, user: &str, password: &str) -> Result<()> {
    let mut child = clean_command("saslpasswd2")
        .args(["-p", "-c", "-a", "libvirt", "-f"])
        .arg(database)
        .arg(user)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it has no pipe")?;
    stdin.write_all(password.as_bytes())?;
    drop(stdin);
    let status = child.wait()?;
    ensure!(status.success(), "saslpasswd2 ended with {status}");
    Ok(())
}
