//! Contenders that take turns: each runs pminfo once, then the next one does, again and again. So all of
//! them, pminfo without a wrapper too, meet the machine as the others have left it. Did one of them run
//! for a while, its pages would stay in the caches of a machine that in truth does something else
//! between two pminfos, and where servers share the machine with clients, not even all of them would
//! have that. A turn in which the host of a virtual machine gave a processor to somebody else tells about
//! that one, and does not count.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use testbed::{Firewall, Host};

use super::super::figures::Sample;
use super::super::proc_fs::Processors;
use super::super::suite::Trial;
use super::Pmsocks;
use super::contender::{Contender, Wrapper};
use super::dialogue;
use super::sides::{NAME, outside};
use super::timing::{MOST, record, sample, times};

/// The kernel learns of a processor that was taken away by its next tick, of which there are at least a
/// hundred a second.
const TICK: Duration = Duration::from_millis(10);

/// A server may be busy with the end of a connection for so long, which is not to be the next one's
/// trouble.
const REST: Duration = Duration::from_millis(1);

/// Each contender of a round.
struct Player<'a> {
    /// Which of the trials it is.
    place: usize,
    host: &'a Host,
    wrapper: Wrapper<'a>,
    /// How long it took this turn.
    took: Duration,
    /// How long it took each time, or why it failed.
    played: Result<Histogram<u64>>,
}

/// Has them take turns until each has had about the time that it is given.
pub(super) fn measure(
    wall: &Firewall,
    folder: &Path,
    trials: &[Trial<'_, Pmsocks>],
) -> Vec<Result<Sample>> {
    let mut players: Vec<_> = trials
        .iter()
        .enumerate()
        .map(|(place, trial)| Player {
            place,
            host: match trial.contender {
                Contender::Direct => wall.gate(),
                _ => wall.inside(),
            },
            wrapper: Wrapper {
                contender: trial.contender,
                program: trial.program,
                work: trial.load.work,
                folder,
            },
            took: Duration::ZERO,
            played: times(),
        })
        .collect();
    let length: Duration = trials.iter().map(|trial| trial.length).sum();
    let is_interrupted = || trials.iter().any(|trial| trial.interrupt.check().is_err());
    let start = Instant::now();
    for turn in 0..MOST {
        // By chance, so that nobody always has the same one before.
        players.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
        let before = Processors::now();
        for player in &mut players {
            thread::sleep(REST);
            player.play();
        }
        thread::sleep(TICK);
        let is_quiet = matches!((before, Processors::now()),
            (Ok(before), Ok(after)) if !after.were_stolen_since(before));
        // The first turn fills the caches.
        if is_quiet && turn > 0 {
            players.iter_mut().for_each(Player::keep);
        }
        if is_interrupted() || (turn > 0 && start.elapsed() >= length) {
            break;
        }
    }
    players.sort_by_key(|player| player.place);
    let samples = players.into_iter().map(|player| player.played);
    let quiet = |times: &Histogram<u64>| {
        ensure!(
            !times.is_empty(),
            "the host took a processor away in each turn"
        );
        Ok(sample(times))
    };
    samples.map(|played| quiet(&played?)).collect()
}

impl Player<'_> {
    fn play(&mut self) {
        if self.played.is_err() {
            return;
        }
        match self.host.enter(|| self.wrapper.once()).flatten() {
            Ok(took) => self.took = took,
            Err(error) => self.played = Err(error),
        }
    }

    /// Has the time of this turn count.
    fn keep(&mut self) {
        if let Ok(times) = &mut self.played
            && let Err(error) = record(times, self.took)
        {
            self.played = Err(error);
        }
    }
}

impl Wrapper<'_> {
    /// Runs pminfo, or the bare dialogue. How long that took.
    fn once(&self) -> Result<Duration> {
        if self.contender == Contender::Dialogue {
            return dialogue::run(self.work.server());
        }
        let mut pminfo = self.command("pminfo")?;
        pminfo.args(["-h", &outside().ip().to_string(), "-f", "pmcd.hostname"]);
        time_pminfo(pminfo)
    }
}

/// From before it is started to after it has ended. It must have seen the pmcd outside.
fn time_pminfo(mut pminfo: Command) -> Result<Duration> {
    let start = Instant::now();
    let ended = pminfo.output().context("cannot run pminfo")?;
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complaints = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success() && said.contains(&format!("\"{NAME}\"")),
        "pminfo failed ({}): {} {}",
        ended.status,
        said.trim(),
        complaints.trim()
    );
    Ok(took)
}
