//! Runs the tests, with nextest where it is installed, and sums up what the runners say.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::tree::{cargo, show, works};

/// Runs unit, property and acceptance tests and the examples in the docs, and prints how many
/// passed and failed as the last line.
pub(super) fn run_tests() -> Result<()> {
    let whole_run = ["--workspace", "--no-fail-fast"];
    let mut runs = Vec::new();
    if works(cargo().args(["nextest", "--version"])) {
        runs.push(run(cargo()
            .args(["test", "--quiet", "--doc"])
            .args(whole_run))?);
        runs.push(run(cargo().args(["nextest", "run"]).args(whole_run))?);
    } else {
        runs.push(run(cargo().arg("test").args(whole_run))?);
    }
    let mut total = Tally::default();
    runs.iter().for_each(|run| total += run.tally);
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if let Some(run) = runs.iter().find(|run| !run.succeeded) {
        bail!("`{}` failed", run.command);
    }
    ensure!(total.passed > 0, "no test was run");
    Ok(())
}

/// What became of one runner.
struct Run {
    command: String,
    succeeded: bool,
    tally: Tally,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a runner, shows its output as it comes, and counts along.
fn run(command: &mut Command) -> Result<Run> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tally = thread::scope(|scope| {
        let stdout = scope.spawn(|| pass_on(stdout, |line| println!("{line}")));
        let mut tally = pass_on(stderr, |line| eprintln!("{line}"));
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

fn pass_on(stream: Option<impl Read>, print: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    let Some(stream) = stream else { return tally };
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        print(&line);
        tally += count(&line);
    }
    tally
}

/// The counts in a line, if it is the summary of a runner:
/// `test result: ok. 3 passed; 0 failed; ...` or
/// `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
fn count(line: &str) -> Tally {
    let line = line.trim_start();
    let mut tally = Tally::default();
    if !line.starts_with("test result:") && !line.starts_with("Summary [") {
        return tally;
    }
    let words: Vec<&str> = line
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
    fn what_a_test_prints_is_not_counted() {
        assert_eq!(count("assertion: 7 passed, 8 failed"), Tally::default());
    }
}
