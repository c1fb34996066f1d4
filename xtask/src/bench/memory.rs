//! The loads that measure the proxy's memory: idle and busy connections, and growth.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::closed_loop::ClosedLoop;
use super::figures::{Figure, Sample};
use super::link::{Exchange, NearSide};
use super::proc_fs::Watched;

/// Connections that come first, so that what the proxy needs once is not counted.
pub(super) const WARM_UP: usize = 16;

/// Time for the proxy to give back what it needed while connections were set up.
const SETTLE: Duration = Duration::from_millis(500);

/// How often memory is looked at while it may grow.
const LOOK: Duration = Duration::from_millis(50);

/// Memory that has not grown for so long has stopped growing.
const STEADY: Duration = Duration::from_millis(1500);

/// Growth is watched no longer than this, and no further than so many bytes.
const LONGEST: Duration = Duration::from_secs(10);
const ENOUGH: u64 = 3_000_000_000;

/// Resident memory of `proxy` for each of so many idle connections.
pub(super) fn idle(peer: &impl NearSide, connections: usize, proxy: Watched) -> Result<Sample> {
    Ok(Crowd::gather(peer, connections, proxy)?.idle)
}

/// The same, and what it is for each of them when all make calls at the same time.
pub(super) fn idle_and_busy(
    peer: &impl NearSide,
    connections: usize,
    exchange: Exchange,
    length: Duration,
    proxy: Watched,
) -> Result<Sample> {
    let crowd = Crowd::gather(peer, connections, proxy)?;
    let mut load = ClosedLoop::new(crowd.links, exchange)?;
    load.send_first()?;
    load.drive(length)?;
    let each = growth_since(crowd.before, proxy)? / connections as f64;
    Ok(crowd.idle.with(Figure::BusyMemory, each))
}

/// Connections that keep still.
struct Crowd<L> {
    /// What `proxy` had before them.
    before: u64,
    links: Vec<L>,
    idle: Sample,
    _warm: Vec<L>,
}

impl<L> Crowd<L> {
    fn gather<P>(peer: &P, connections: usize, proxy: Watched) -> Result<Crowd<L>>
    where
        P: NearSide<Link = L>,
    {
        let warm = peer.connect_all(WARM_UP)?;
        thread::sleep(SETTLE);
        let before = proxy.resident()?;
        let links = peer.connect_all(connections)?;
        thread::sleep(SETTLE);
        let each = growth_since(before, proxy)? / connections as f64;
        Ok(Crowd {
            before,
            links,
            idle: Sample::default().with(Figure::IdleMemory, each),
            _warm: warm,
        })
    }
}

/// In bytes; less than zero when it has shrunk.
fn growth_since(before: u64, proxy: Watched) -> Result<f64> {
    Ok(proxy.resident()? as f64 - before as f64)
}

/// The most by which `proxy` grows beyond `before`, while `go_on` does what makes it grow.
pub(super) fn growth(
    before: u64,
    proxy: Watched,
    mut go_on: impl FnMut() -> Result<()>,
) -> Result<Sample> {
    let start = Instant::now();
    let mut grown = 0;
    let mut grew_at = start;
    while start.elapsed() < LONGEST && grew_at.elapsed() < STEADY && grown < ENOUGH {
        go_on()?;
        thread::sleep(LOOK);
        let now = proxy.resident()?.saturating_sub(before);
        if now > grown {
            grown = now;
            grew_at = Instant::now();
        }
    }
    Ok(Sample::default().with(Figure::StalledMemory, grown as f64))
}
