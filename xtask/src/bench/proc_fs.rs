//! What /proc tells about a process: the CPU time it took and the memory it holds; and about the machine:
//! whether its processors were taken away.

use std::fs;
use std::io;
use std::time::Duration;

use anyhow::{Context, Result};

/// A process that is watched, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watched(pub(super) u32);

impl Watched {
    /// User and system time of all its threads so far. From `schedstat`, which counts nanoseconds,
    /// where `stat` counts hundredths of a second.
    pub(super) fn cpu_time(self) -> Result<Duration> {
        let folder = format!("/proc/{}/task", self.0);
        let mut total = Duration::ZERO;
        for task in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
            let file = task
                .with_context(|| format!("cannot list {folder}"))?
                .path();
            let file = file.join("schedstat");
            match fs::read_to_string(&file) {
                Ok(text) => {
                    let time = parse_schedstat(&text)
                        .with_context(|| format!("cannot read {}: {text:?}", file.display()))?;
                    total += time;
                }
                Err(error) if has_ended(&error) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", file.display()));
                }
            }
        }
        Ok(total)
    }

    /// Resident memory in bytes. From `smaps_rollup`, which is exact, where `status` may be off by
    /// some pages for each core.
    pub(super) fn resident(self) -> Result<u64> {
        let file = format!("/proc/{}/smaps_rollup", self.0);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        parse_resident(&text).with_context(|| format!("{file} has no line with Rss"))
    }
}

/// Whether a thread is gone since it was listed.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The first number of a schedstat file: nanoseconds on a CPU.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// The line `Rss: N kB` of a smaps_rollup file, in bytes.
fn parse_resident(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// What the processors of a virtual machine had of time so far, all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Processors {
    /// In hundredths of a second.
    all: u64,
    /// What of it the host gave to others while there was work here.
    stolen: u64,
}

impl Processors {
    pub(super) fn now() -> Result<Processors> {
        let file = "/proc/stat";
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        parse_processors(&text).with_context(|| format!("{file} has no line with cpu"))
    }

    /// Whether the host took a processor away since then.
    pub(super) fn were_stolen_since(self, then: Processors) -> bool {
        self.stolen > then.stolen
    }

    /// How much of the time since then the host took away, in percent.
    pub(super) fn percent_stolen_since(self, then: Processors) -> f64 {
        let all = self.all.saturating_sub(then.all).max(1);
        100.0 * self.stolen.saturating_sub(then.stolen) as f64 / all as f64
    }
}

/// The line `cpu user nice system idle iowait irq softirq steal ...` of proc_stat(5). What guests of this
/// machine had, which is behind these, is in the first two as well.
fn parse_processors(text: &str) -> Option<Processors> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times = line.split_whitespace().take(8).map(str::parse);
    let times: Vec<u64> = times.collect::<Result<_, _>>().ok()?;
    let [.., stolen] = <[u64; 8]>::try_from(times.as_slice()).ok()?;
    let all = times.iter().sum();
    Some(Processors { all, stolen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_of_all_processors() {
        let text = "cpu  5 0 10 80 0 0 1 4 9 0\ncpu0 1 0 1 1 0 0 0 1 0 0\n";
        let then = Processors { all: 0, stolen: 0 };
        let now = parse_processors(text).unwrap();
        assert_eq!(
            now,
            Processors {
                all: 100,
                stolen: 4
            }
        );
        assert!(now.were_stolen_since(then));
        assert!(!now.were_stolen_since(now));
        assert!((now.percent_stolen_since(then) - 4.0).abs() < 0.01);
        for broken in [
            "",
            "cpu 1 2 3 4 5 6 7",
            "cpu 1 2 3 4 5 6 7 x",
            "cpu0 1 2 3 4 5 6 7 8",
        ] {
            assert_eq!(parse_processors(broken), None, "{broken}");
        }
        Processors::now().unwrap();
    }

    #[test]
    fn schedstat_opens_with_the_nanoseconds_on_a_cpu() {
        assert_eq!(
            parse_schedstat("299808866 107901 7\n"),
            Some(Duration::from_nanos(299_808_866))
        );
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let text = "5578fd842000-7ffe55fc5000 ---p 00000000 00:00 0    [rollup]\n\
                    Rss:                1764 kB\nPss:                 315 kB\n";
        assert_eq!(parse_resident(text), Some(1764 * 1024));
        assert_eq!(parse_resident("Pss: 315 kB\n"), None);
        assert_eq!(parse_resident("Rss: many kB\n"), None);
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let this = Watched(std::process::id());
        assert!(this.resident().unwrap() > 0);
        this.cpu_time().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_that_names_the_file() {
        let gone = Watched(u32::MAX);
        assert!(
            gone.resident()
                .unwrap_err()
                .to_string()
                .contains("/proc/4294967295/")
        );
        assert!(
            gone.cpu_time()
                .unwrap_err()
                .to_string()
                .contains("/proc/4294967295/")
        );
    }
}
