//! Connections over a direct route: a client that makes many, which contenders can be loaded into,
//! and somebody who takes them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use rustix::net::sockopt::set_socket_linger;

use super::super::figures::{Figure, Sample, median};
use super::super::process::own_subcommand;
use super::timing::{record, sample};

/// How many connections one client makes.
const CONNECTIONS: usize = 1000;

/// Runs clients with `wrap` around them, one after the other, for `length`. The medians over all of
/// them are told: how fast a connection is, and how fast the first one of a program.
pub(super) fn measure(
    length: Duration,
    wrap: impl Fn(&Command) -> Result<Command>,
) -> Result<Sample> {
    let address = take_connections()?;
    let mut client = own_subcommand("pmsocks", "load-generator")?;
    client.arg(format!("--connect={address}"));
    let start = Instant::now();
    let mut samples = Vec::new();
    while samples.is_empty() || start.elapsed() < length {
        samples.push(run(wrap(&client)?)?);
    }
    let middle = |figure| {
        let values = samples.iter().filter_map(|sample| sample.get(figure));
        median(values).context("a client left out a figure")
    };
    [Figure::P50, Figure::P99, Figure::First]
        .into_iter()
        .try_fold(Sample::default(), |sample, figure| {
            Ok(sample.with(figure, middle(figure)?))
        })
}

fn run(mut client: Command) -> Result<Sample> {
    let ended = client.output().context("cannot run a client")?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let complaints = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success(),
        "a client failed: {}",
        complaints.trim()
    );
    said.parse()
        .with_context(|| format!("a client printed {said:?}"))
}

/// Takes connections in a thread, and resets each once a byte has come, so that no port is kept from
/// being used again.
fn take_connections() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0]);
            // A connection that is closed in order costs a port for a while, and nothing else.
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
        }
    });
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The client: connects over and over, and prints how long the first time took and the others.
pub(super) fn run_client(address: SocketAddrV4) -> Result<()> {
    let first = connect_once(address)?;
    let mut times: Histogram<u64> = Histogram::new(3).context("cannot set up the histogram")?;
    for _ in 1..CONNECTIONS {
        record(&mut times, connect_once(address)?)?;
    }
    let sample = sample(&times).with(Figure::First, first.as_secs_f64() * 1e6);
    println!("{sample}");
    Ok(())
}

/// How long connect(2) takes. It is the C library's, which is what contenders take over.
fn connect_once(address: SocketAddrV4) -> Result<Duration> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let address = SockaddrIn::from(address);
    let start = Instant::now();
    connect(socket.as_raw_fd(), &address).context("cannot connect")?;
    let took = start.elapsed();
    let mut stream = TcpStream::from(socket);
    stream.write_all(&[0])?;
    // Waits for the reset, so that there is never more than one connection.
    let _ = stream.read(&mut [0]);
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_taken_one_after_the_other() {
        let address = take_connections().unwrap();
        for _ in 0..100 {
            connect_once(address).unwrap();
        }
    }
}
