//! `cargo xtask fuzz`: runs the fuzz targets under libFuzzer, on the stable toolchain.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use lexopt::{Arg, ValueExt};

use crate::tree::{cargo, host, root, show, works};

const USAGE: &str = "\
Usage: cargo xtask fuzz [--seconds N] [TARGET ...]

Runs each fuzz target (all of them unless some are named) for N seconds (default 5), starting from
the seeds in fuzz/seeds/TARGET and from what earlier runs found. An input that crashes a target is
shown and kept in fuzz/artifacts/TARGET. Needs a C++ compiler, for libFuzzer itself.";

/// What `cargo fuzz` passes to rustc too: coverage counters and comparisons for libFuzzer. There is
/// no address sanitizer: it needs a nightly toolchain, and the code under test has no `unsafe`.
const INSTRUMENTATION: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// Limits for one input: a parser that takes longer or more is broken.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut seconds, mut named) = (5, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Arg::Long("seconds") => seconds = args.value()?.parse()?,
            Arg::Value(target) => named.push(target.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Fuzzer::new(&root().join("fuzz"))?.run(seconds, &named)
}

/// Runs all targets for some seconds each.
pub(crate) fn run_all(seconds: u32) -> Result<()> {
    Fuzzer::new(&root().join("fuzz"))?.run(seconds, &[])
}

/// The folder with the fuzz targets, and the machine that they are built for.
struct Fuzzer {
    folder: PathBuf,
    host: String,
}

impl Fuzzer {
    fn new(folder: &Path) -> Result<Fuzzer> {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        ensure!(
            works(Command::new(&compiler).arg("--version")),
            "fuzzing not run: no C++ compiler (there is no {}; the Debian package is g++)",
            compiler.display()
        );
        let folder = folder.to_owned();
        Ok(Fuzzer {
            folder,
            host: host()?,
        })
    }

    fn run(&self, seconds: u32, named: &[String]) -> Result<()> {
        let targets = self.choose(named)?;
        self.build()?;
        for target in targets {
            self.fuzz(&target, seconds)?;
        }
        Ok(())
    }

    /// The targets that were named, or all: one for each file in `fuzz_targets`.
    fn choose(&self, named: &[String]) -> Result<Vec<String>> {
        let folder = self.folder.join("fuzz_targets");
        let files =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut all = Vec::new();
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                all.extend(
                    path.file_stem()
                        .and_then(|stem| stem.to_str())
                        .map(str::to_owned),
                );
            }
        }
        all.sort();
        ensure!(!all.is_empty(), "{} has no fuzz targets", folder.display());
        if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
            bail!(
                "there is no fuzz target {unknown}; there are: {}",
                all.join(", ")
            );
        }
        Ok(if named.is_empty() {
            all
        } else {
            named.to_vec()
        })
    }

    /// Optimised for speed, but with the checks that make a parser's slips visible. A target machine
    /// is named even though it is this one: then build scripts are not instrumented.
    fn build(&self) -> Result<()> {
        let mut build = cargo();
        build
            .args([
                "build",
                "--quiet",
                "--release",
                "--bins",
                "--target",
                &self.host,
            ])
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.folder.join("target"))
            .env("RUSTFLAGS", INSTRUMENTATION)
            .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
            .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
        crate::tree::must(&mut build).context("cannot build the fuzz targets")
    }

    fn fuzz(&self, target: &str, seconds: u32) -> Result<()> {
        let [corpus, artifacts] =
            ["corpus", "artifacts"].map(|kind| self.folder.join(kind).join(target));
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let binary = self
            .folder
            .join("target")
            .join(&self.host)
            .join("release")
            .join(target);
        let mut fuzz = Command::new(binary);
        fuzz.arg(&corpus);
        // libFuzzer writes what it finds into the first folder and only reads the others.
        fuzz.args(Some(self.folder.join("seeds").join(target)).filter(|seeds| seeds.is_dir()));
        fuzz.arg(format!("-max_total_time={seconds}")).args(LIMITS);
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        let shown = show(&fuzz);
        let ended = fuzz
            .output()
            .with_context(|| format!("cannot run `{shown}`"))?;
        report(target, &fuzz, &ended)
    }
}

fn report(target: &str, fuzz: &Command, ended: &Output) -> Result<()> {
    let log = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        bail!("{}", failure(target, fuzz, ended, &log));
    }
    // Blind fuzzing finds nothing: a toolchain that ignores the flags must be noticed.
    ensure!(
        log.contains("inline 8-bit counters"),
        "fuzz target {target} was built without coverage counters"
    );
    let runs = word_after(&log, "Done ").unwrap_or("some");
    println!("fuzz target {target}: {runs} runs, no crash");
    Ok(())
}

/// How a target failed: its own words, then the input, so that it can be tried again elsewhere.
fn failure(target: &str, fuzz: &Command, ended: &Output, log: &str) -> String {
    let mut text = format!("fuzz target {target} failed ({})", ended.status);
    for line in own_words(log) {
        let _ = write!(text, "\n  {line}");
    }
    let Some(artifact) = word_after(log, "Test unit written to ") else {
        return text;
    };
    let _ = write!(text, "\ninput: {artifact}");
    if let Ok(input) = fs::read(artifact) {
        let _ = write!(text, "\n{} bytes in hex: {}", input.len(), hex(&input));
    }
    let binary = fuzz.get_program().display();
    let _ = write!(text, "\nto run it again: {binary} {artifact}");
    text
}

/// The lines from the failure on, without the machinery below it.
fn own_words(log: &str) -> impl Iterator<Item = &str> {
    const LINES: usize = 12;
    let begins = |line: &str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
    log.lines()
        .skip_while(move |line| !begins(line))
        .take_while(|line| !line.starts_with("stack backtrace") && !line.starts_with("NOTE:"))
        .take(LINES)
}

fn word_after<'a>(log: &'a str, mark: &str) -> Option<&'a str> {
    log.lines()
        .find_map(|line| line.split_once(mark)?.1.split_whitespace().next())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: &str = "\
INFO: Loaded 1 modules   (1081 inline 8-bit counters): 1081 [0x55, 0x56),
#1081\tNEW    cov: 11 ft: 11 corp: 4/13b

thread '<unnamed>' (7116) panicked at fuzz_targets/crasher.rs:3:82:
index out of bounds
stack backtrace:
   0: core::panicking::panic_fmt
==7116== ERROR: libFuzzer: deadly signal
artifact_prefix='./'; Test unit written to ./crash-cc6f
";

    #[test]
    fn a_crash_is_told_in_the_words_of_the_panic() {
        let words: Vec<&str> = own_words(CRASH).collect();
        assert_eq!(words.len(), 2, "{words:?}");
        assert!(words[0].contains("crasher.rs:3:82") && words[1] == "index out of bounds");
    }

    #[test]
    fn the_artifact_and_the_number_of_runs_are_found() {
        assert_eq!(
            word_after(CRASH, "Test unit written to "),
            Some("./crash-cc6f")
        );
        assert_eq!(
            word_after("Done 2701067 runs in 4 second(s)", "Done "),
            Some("2701067")
        );
        assert_eq!(word_after(CRASH, "Done "), None);
    }

    #[test]
    fn input_is_shown_in_hex() {
        assert_eq!(hex(&[0, 0x7f, 0xff]), "007fff");
    }
}
