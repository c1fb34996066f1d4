//! `cargo xtask test`: everything that must hold before a change goes in, step by step.

mod runner;

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::Arg;

use testbed::packages::NeededFor;

use crate::fuzz;
use crate::packages;
use crate::tree::{cargo, must, works};

const USAGE: &str = "\
Usage: cargo xtask test [--no-install]

Checks everything, in this order: the Debian packages and Rust components that the checks need, the
format, clippy, the docs, the dependency policy (if cargo-deny is installed), a few seconds of
fuzzing for each parser, the tests. The first step that fails ends it.

Missing packages are installed when this runs as root on Debian or a system like it, and missing
Rust components when there is rustup; what is installed is said first. With --no-install, and where
that cannot be done, they are named and the chore fails.";

/// Enough to notice a parser that falls over at once; `cargo xtask fuzz` is for longer runs.
const FUZZ_SECONDS: u32 = 3;

/// A step: its name, and what it does. The flag says whether it may install.
type Step = (&'static str, fn(bool) -> Result<()>);

/// What comes before the tests, which come last so that their summary ends the output.
const STEPS: [Step; 7] = [
    ("Debian packages", |install| {
        packages::ensure(NeededFor::Tests, install)
    }),
    ("Rust components", ensure_components),
    ("format", check_format),
    ("clippy", run_clippy),
    ("docs", build_docs),
    ("dependency policy", check_dependencies),
    ("fuzzing", |_| fuzz::run_all(FUZZ_SECONDS)),
];

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut install = true;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Arg::Long("no-install") => install = false,
            other => return Err(other.unexpected().into()),
        }
    }
    for (name, step) in STEPS {
        timed(name, || step(install))?;
    }
    let tally = timed("tests", runner::run_tests)?;
    println!("\n{tally}");
    Ok(())
}

fn timed<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let start = Instant::now();
    let done = step().with_context(|| format!("step «{name}» failed"))?;
    println!("    {name}: {:.1} s", start.elapsed().as_secs_f32());
    Ok(done)
}

fn ensure_components(install: bool) -> Result<()> {
    let absent: Vec<&str> = [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, subcommand)| !works(cargo().args([subcommand, "--version"])))
        .map(|(component, _)| component)
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    let names = absent.join(" ");
    if !install || !works(Command::new("rustup").arg("--version")) {
        bail!("missing Rust components: {names}; `rustup component add {names}` installs them");
    }
    println!("installing Rust components: {names}");
    must(
        Command::new("rustup")
            .args(["component", "add"])
            .args(absent),
    )
}

/// The fuzz targets are a workspace of their own.
fn check_format(_install: bool) -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        must(cargo().args(["fmt", "--all", "--check", "--manifest-path", manifest]))
            .with_context(|| format!("run `cargo fmt --all --manifest-path {manifest}`"))?;
    }
    Ok(())
}

fn run_clippy(_install: bool) -> Result<()> {
    let clippy = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    must(cargo().args(clippy))
}

fn build_docs(_install: bool) -> Result<()> {
    must(
        cargo()
            .args(["doc", "--quiet", "--no-deps", "--workspace"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Advisories are left out: their database comes from the internet.
fn check_dependencies(_install: bool) -> Result<()> {
    if !works(cargo().args(["deny", "--version"])) {
        println!("not checked: cargo-deny is not installed");
        return Ok(());
    }
    let policy = [
        "deny",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
    must(cargo().args(policy))
}
