//! Texts in C, compiled for a test.

use anyhow::Result;

use crate::client::Client;
use crate::packages;
use crate::scratch::Scratch;

/// Compiles a text. What gcc makes of it is called `name`, in a folder that every user may enter.
///
/// # Errors
/// When gcc does not like it, or a Debian package is missing.
pub(crate) fn compile(name: &str, source: &str, flags: &[&str]) -> Result<Scratch> {
    packages::require("gcc")?;
    packages::require("libc6-dev")?;
    let scratch = Scratch::new()?;
    scratch.share()?;
    Client::new("gcc")
        .args(["-Wall", "-Wextra", "-Werror", "-O1"])
        .args(flags)
        .args(["-o".into(), scratch.join(name)])
        .args([scratch.write("source.c", source)?])
        .run()?
        .succeeded()?;
    Ok(scratch)
}
