//! The chores of the project, each a subcommand: `cargo xtask demo`, `test`, `bench`, `fuzz`,
//! `dist`.

#![forbid(unsafe_code)]

mod bench;
mod demo;
mod dist;
mod fuzz;
mod interrupt;
mod packages;
mod startup;
mod test;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask CHORE [option ...]

  demo [--once]          build the release programs and watch live metrics through pmproxy
  test                   format, lints, unit, property and acceptance tests, fuzzing, docs
  bench PROGRAM [...]    compare one of the programs with what it replaces
  fuzz [--seconds N]     run every fuzz target for N seconds (default 5)
  dist [--check]         build the Debian packages, and install them in a fresh Debian

cargo xtask CHORE --help says more.";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let chore = args.next();
    let rest = lexopt::Parser::from_args(args);
    let done = match chore.as_ref().and_then(|chore| chore.to_str()) {
        Some("demo") => demo::run(rest),
        Some("test") => test::run(rest),
        Some("bench") => bench::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("dist") => dist::run(rest),
        Some("help" | "--help" | "-h") => show_usage(),
        _ => usage_error(chore),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show_usage() -> Result<()> {
    println!("{USAGE}");
    Ok(())
}

fn usage_error(chore: Option<std::ffi::OsString>) -> Result<()> {
    match chore {
        None => bail!("no chore was named\n\n{USAGE}"),
        Some(other) => bail!("there is no chore {}\n\n{USAGE}", other.display()),
    }
}
