//! Runs the tests, with nextest where it is installed, and sums up what the runners say.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::tree::{cargo, show, works};

/// How the summary of cargo's own runner begins: one for each test binary.
const CARGO_SUMMARY: &str = "test result:";

/// How the summary of nextest begins. Above it, it shows what failed tests printed, and that has
/// lines of the other kind.
const NEXTEST_SUMMARY: &str = "Summary [";

/// Runs unit, property and acceptance tests and the examples in the docs.
pub(super) fn run_tests() -> Result<Tally> {
    let whole_run = ["--workspace", "--no-fail-fast"];
    let mut runs = Vec::new();
    if works(cargo().args(["nextest", "--version"])) {
        let examples = ["test", "--quiet", "--doc"];
        runs.push(run(cargo().args(examples).args(whole_run), CARGO_SUMMARY)?);
        runs.push(run(
            cargo().args(["nextest", "run"]).args(whole_run),
            NEXTEST_SUMMARY,
        )?);
    } else {
        runs.push(run(cargo().arg("test").args(whole_run), CARGO_SUMMARY)?);
    }
    let mut total = Tally::default();
    for run in &runs {
        total += run.tally;
    }
    if let Some(run) = runs.iter().find(|run| !run.succeeded) {
        bail!("{total}; `{}` failed", run.command);
    }
    ensure!(total.passed > 0, "no test was run");
    Ok(total)
}

/// What became of one runner.
struct Run {
    command: String,
    succeeded: bool,
    tally: Tally,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a runner, shows its output as it comes, and counts along.
fn run(command: &mut Command, summary: &str) -> Result<Run> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tally = thread::scope(|scope| {
        let stdout = scope.spawn(|| pass_on(stdout, summary, |line| println!("{line}")));
        let mut tally = pass_on(stderr, summary, |line| eprintln!("{line}"));
        tally += stdout.join().unwrap_or_default();
        tally
    });
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{shown}`"))?;
    Ok(Run {
        command: shown,
        succeeded: status.success(),
        tally,
    })
}

fn pass_on(stream: Option<impl Read>, summary: &str, print: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    let Some(stream) = stream else { return tally };
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        print(&line);
        if line.trim_start().starts_with(summary) {
            tally += count(&line);
        }
    }
    tally
}

/// The counts in the summary of a runner: `test result: ok. 3 passed; 0 failed; ...` or
/// `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
fn count(summary: &str) -> Tally {
    let mut tally = Tally::default();
    let words: Vec<&str> = summary
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    for pair in words.windows(2) {
        match (pair[0].parse::<u64>(), pair[1]) {
            (Ok(number), "passed") => tally.passed += number,
            // «timed out» and «exec failed» are nextest's.
            (Ok(number), "failed" | "timed" | "exec") => tally.failed += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_both_runners_are_understood() {
        let cases = [
            (
                "     Summary [   1.286s] 32 tests run: 32 passed, 1 skipped",
                32,
                0,
            ),
            (
                "Summary [ 9s] 7 tests run: 3 passed (1 slow), 2 failed, 2 timed out, 0 skipped",
                3,
                4,
            ),
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
                3,
                0,
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured",
                1,
                2,
            ),
        ];
        for (line, passed, failed) in cases {
            assert_eq!(count(line), Tally { passed, failed }, "{line}");
        }
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted_again() {
        let log = "test result: FAILED. 0 passed; 1 failed\n   Summary [ 1s] 2 tests run: 1 passed, 1 failed\n";
        let tally = pass_on(Some(log.as_bytes()), NEXTEST_SUMMARY, |_| {});
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                failed: 1
            }
        );
    }
}
