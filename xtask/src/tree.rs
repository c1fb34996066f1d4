//! The source tree and the toolchain that the chores work with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that runs this chore, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The compiler.
pub(crate) fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// The machine that it builds for unless told otherwise.
pub(crate) fn host() -> Result<String> {
    let told = output(rustc().arg("-vV"))?;
    told.lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .context("`rustc -vV` names no host")
}

/// The folder where cargo builds.
pub(crate) fn target() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find the running program")?;
    let folder = this.parent().and_then(Path::parent);
    Ok(folder
        .context("the running program is in no target folder")?
        .to_owned())
}

/// Whether a command can be run and succeeds; its output is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command to its end and shows its output.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// The command as it would be typed, with the program's bare name.
pub(crate) fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a command prints to standard output, without the last line's end; its errors are shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !ended.status.success() {
        bail!("`{shown}` failed: {}", ended.status);
    }
    Ok(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())
}
