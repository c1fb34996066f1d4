//! The closed loop: every connection sends a request, reads the whole reply, and sends the next.
//! One thread, edge-triggered, so that the load costs as little as possible beside the proxy.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::figures::{Figure, Sample};
use super::link::{Exchange, Link, NearSide};
use super::proc_fs::Watched;

/// How long no reply may arrive on any connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Latencies are kept in nanoseconds up to this one, with three significant digits.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// Bytes that one read may take.
const SCRATCH: usize = 256 << 10;

/// Runs the loop for `length` after a warm-up of a fifth of it; the CPU time is that of `proxy`.
pub(super) fn run(
    peer: &impl NearSide,
    connections: usize,
    exchange: Exchange,
    length: Duration,
    proxy: Option<Watched>,
) -> Result<Sample> {
    let mut load = ClosedLoop::new(peer.connect_all(connections)?, exchange)?;
    load.send_first()?;
    load.drive(length / 5)?;
    load.latencies.reset();

    let cpu_before = proxy.map(Watched::cpu_time).transpose()?;
    let took = load.drive(length)?;
    let cpu_after = proxy.map(Watched::cpu_time).transpose()?;

    let round_trips = load.latencies.len() as f64;
    let micros = |quantile| load.latencies.value_at_quantile(quantile) as f64 / 1e3;
    let sample = Sample::default()
        .with(Figure::Rate, round_trips / took.as_secs_f64())
        .with(Figure::P50, micros(0.50))
        .with(Figure::P99, micros(0.99));
    Ok(match cpu_before.zip(cpu_after) {
        Some((before, after)) => {
            let used = after.saturating_sub(before);
            sample.with(Figure::Cpu, used.as_secs_f64() * 1e6 / round_trips)
        }
        None => sample,
    })
}

struct Connection<L> {
    link: L,
    sent_at: Instant,
    /// Bytes of the reply that have not arrived.
    missing: usize,
}

pub(super) struct ClosedLoop<L> {
    poll: Poll,
    events: Events,
    connections: Vec<Connection<L>>,
    exchange: Exchange,
    scratch: Vec<u8>,
    latencies: Histogram<u64>,
}

impl<L: Link> ClosedLoop<L> {
    pub(super) fn new(links: Vec<L>, exchange: Exchange) -> Result<ClosedLoop<L>> {
        let poll = Poll::new().context("cannot create an epoll instance")?;
        let now = Instant::now();
        let mut connections = Vec::with_capacity(links.len());
        for (index, link) in links.into_iter().enumerate() {
            let socket = link.socket().as_fd();
            rustix::io::ioctl_fionbio(socket, true).context("cannot make a socket non-blocking")?;
            poll.registry()
                .register(
                    &mut SourceFd(&socket.as_raw_fd()),
                    Token(index),
                    Interest::READABLE,
                )
                .context("cannot watch a socket")?;
            connections.push(Connection {
                link,
                sent_at: now,
                missing: 0,
            });
        }
        Ok(ClosedLoop {
            poll,
            events: Events::with_capacity(connections.len().max(16)),
            connections,
            exchange,
            scratch: vec![0; SCRATCH],
            latencies: Histogram::new_with_bounds(1, LONGEST_NANOS, 3)
                .context("cannot set up the histogram")?,
        })
    }

    /// Puts one request in flight on every connection.
    pub(super) fn send_first(&mut self) -> Result<()> {
        for connection in &mut self.connections {
            connection.send(&self.exchange, Instant::now())?;
        }
        Ok(())
    }

    /// Keeps the loop going for `length`; gives the time that it really took.
    pub(super) fn drive(&mut self, length: Duration) -> Result<Duration> {
        let start = Instant::now();
        let mut last = start;
        while last - start < length {
            self.wait()?;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                // Nothing more can be there before the next request is out: one read less.
                if connection
                    .link
                    .receive(&mut connection.missing, &mut self.scratch)?
                {
                    last = Instant::now();
                    let latency = (last - connection.sent_at).as_nanos();
                    self.latencies
                        .saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
                    connection.send(&self.exchange, last)?;
                }
            }
        }
        Ok(last - start)
    }

    fn wait(&mut self) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            done => done.context("cannot wait for replies")?,
        }
        if self.events.is_empty() {
            bail!(
                "no connection got a byte of its reply for {} s",
                PATIENCE.as_secs()
            );
        }
        Ok(())
    }
}

impl<L: Link> Connection<L> {
    fn send(&mut self, exchange: &Exchange, now: Instant) -> Result<()> {
        self.link.send(&exchange.request)?;
        self.sent_at = now;
        self.missing = exchange.reply;
        Ok(())
    }
}
