//! Decisions by routes, asked of the code that decides.

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use socks_conf::{Action, Asked, Routes, User};

use super::super::figures::Sample;
use super::sides::outside;
use super::timing::{repeat, sample};

/// So many decisions are timed together, since a clock costs something too.
const TOGETHER: u32 = 64;

/// How long one decision takes by the routes in `file`, of which the last line decides.
pub(super) fn measure(file: &Path, length: Duration) -> Result<Sample> {
    let routes = Routes::load(file)?;
    let is_local = |address: IpAddr| address.is_loopback();
    let asked = Asked {
        address: Some(outside().ip()),
        name: None,
        port: outside().port(),
        user: User {
            uid: rustix::process::getuid().as_raw(),
            name: Some("root"),
        },
        is_local: &is_local,
    };
    let action = routes.decide(&asked).action;
    ensure!(action == Action::Direct, "the last line did not decide");
    let times = repeat(length, || {
        let start = Instant::now();
        for _ in 0..TOGETHER {
            black_box(routes.decide(black_box(&asked)));
        }
        Ok(start.elapsed() / TOGETHER)
    })?;
    Ok(sample(&times))
}

#[cfg(test)]
mod tests {
    use super::super::settings::{MANY, Routes as File, Way, routes_file, write_all};
    use super::*;

    #[test]
    fn all_lines_of_the_bench_are_read_and_the_last_one_decides() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path()).unwrap();
        let file = routes_file(folder.path(), File::new(MANY, Way::Direct));
        measure(&file, Duration::ZERO).unwrap();
    }
}
