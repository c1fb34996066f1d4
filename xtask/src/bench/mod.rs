//! `cargo xtask bench PROGRAM`: one of our programs beside what it replaces, and others of its kind.
//!
//! A machine is noisy, so the contenders take turns within each round, medians are printed, and
//! ratios are taken within a round. Stub servers and load generators are processes of their own:
//! this program again, with the hidden words `stub-server` and `load-generator`. What is about one
//! program is in its folder; what all share is beside this file.

mod closed_loop;
mod figures;
mod link;
mod memory;
mod options;
mod pmdaroot;
mod pmproxy;
mod pmsocks;
mod proc_fs;
mod process;
mod proxy;
mod report;
mod results;
mod rounds;
mod server_loop;
mod suite;
mod verdict;
mod virtproxyd;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;
use rustix::process::{Resource, getrlimit, setrlimit};

use options::Options;
use rounds::Rounds;
use suite::Suite;

use crate::interrupt::Interrupt;
use crate::tree;

const USAGE: &str = "\
Usage: cargo xtask bench PROGRAM [option ...]

  pmproxy       round trips and memory beside PCP's own pmproxy and haproxy
  virtproxyd    calls, streams and memory beside libvirt's own virtproxyd
  pmdaroot      look-ups and memory beside PCP's own pmdaroot
  pmsocks       pminfo through a firewall beside tsocks and proxychains4

cargo xtask bench PROGRAM --help says more.";

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(Value(what)) if what == "pmproxy" => pmproxy::run(args),
        Some(Value(what)) if what == "virtproxyd" => virtproxyd::run(args),
        Some(Value(what)) if what == "pmdaroot" => pmdaroot::run(args),
        Some(Value(what)) if what == "pmsocks" => pmsocks::run(args),
        Some(Short('h') | Long("help")) => show_usage(USAGE),
        Some(other) => Err(options::unexpected(other)),
        None => bail!("what is to be measured?\n\n{USAGE}"),
    }
}

/// The hidden words of a program's bench, with which it starts its helpers.
enum Word {
    StubServer,
    LoadGenerator,
}

impl Word {
    /// Takes the word off the arguments, if the first of them is one.
    fn take(args: &mut lexopt::Parser) -> Result<Option<Word>> {
        let word = {
            let raw = args.try_raw_args();
            match raw.as_ref().and_then(|raw| raw.peek()?.to_str()) {
                Some("stub-server") => Word::StubServer,
                Some("load-generator") => Word::LoadGenerator,
                _ => return Ok(None),
            }
        };
        args.next()?;
        Ok(Some(word))
    }
}

fn show_usage(usage: &str) -> Result<()> {
    println!("{usage}");
    Ok(())
}

/// Runs the bench of one program; `prepare` starts the servers that it needs.
fn run_suite<S: Suite>(
    args: lexopt::Parser,
    prepare: impl FnOnce(&Interrupt) -> Result<S>,
) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        return show_usage(S::USAGE);
    };
    if cfg!(debug_assertions) {
        return go_on_as_release_build();
    }
    let interrupt = Interrupt::watch()?;
    raise_descriptor_limit()?;
    let suite = prepare(&interrupt)?;
    Rounds::prepare(suite, options, interrupt).run()
}

/// Builds this program in release mode and becomes it: a load generator without optimisation would
/// measure itself.
fn go_on_as_release_build() -> Result<()> {
    cargo_build_release("xtask")?;
    let release = tree::target()?.join("release/xtask");
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Comes back only when it fails.
    let error = Command::new(&release).args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", release.display()))
}

/// Builds a package of the workspace, as it is to be measured. cargo's messages go to standard
/// error, so that the tables can be redirected.
fn cargo_build_release(package: &str) -> Result<()> {
    tree::must(tree::cargo().args(["build", "--release", "-p", package]))
}

/// Builds one of our programs beside this one, which is a release build itself.
fn build_ours(package: &str) -> Result<PathBuf> {
    cargo_build_release(package)?;
    let this = std::env::current_exe().context("cannot find the running program")?;
    let ours = this.with_file_name(package);
    ensure!(ours.is_file(), "the build left no {}", ours.display());
    Ok(ours)
}

/// Lets this process and those that it starts hold as many descriptors as they may: thousands of
/// idle connections need two each in a proxy.
fn raise_descriptor_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open descriptors")
}
