//! The dialogue with a SOCKS server as it is at its best: blocking calls, and nothing else. It is done
//! by a process that is started for it, since that is what pminfo is too, and that first does what
//! pminfo does before it connects: the longer a server has had nothing to do, the slower it answers
//! (danted after 1 ms: 0.37 ms, after 5 ms: 0.55 ms, after 20 ms: 0.85 ms).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socks_proto::{Client, Progress, Target, Version};
use testbed::clean_command;

use super::super::process::own_subcommand;
use super::sides::{Server, outside};
use crate::tree::{output, works};

/// Bounds each wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than an answer of a server, or the first word of a pmcd.
const SCRATCH: usize = 512;

/// Runs a process that does it, and gives what it says about how long that took.
pub(super) fn run(server: Server) -> Result<Duration> {
    let mut client = own_subcommand("pmsocks", "load-generator")?;
    client.arg(format!("--dialogue={}", server.address()));
    let said = output(&mut client)?;
    let nanos = said
        .parse()
        .with_context(|| format!("{said:?} is not a time"))?;
    Ok(Duration::from_nanos(nanos))
}

/// The process: connects to the pmcd outside through `server`, and prints how many nanoseconds that
/// took.
pub(super) fn run_client(server: SocketAddr) -> Result<()> {
    start_a_pminfo()?;
    println!("{}", connect(server, outside())?.as_nanos());
    Ok(())
}

/// Has a pminfo loaded, which is what it does until it connects.
fn start_a_pminfo() -> Result<()> {
    ensure!(
        works(clean_command("pminfo").arg("--version")),
        "cannot run pminfo"
    );
    Ok(())
}

fn connect(server: SocketAddr, target: SocketAddr) -> Result<Duration> {
    let mut client = Client::new(Version::V5, &Target::Address(target), "", None)?;
    let start = Instant::now();
    let mut stream = TcpStream::connect(server).context("cannot connect to the SOCKS server")?;
    talk(&mut client, &mut stream)?;
    let took = start.elapsed();
    end(stream)?;
    Ok(took)
}

fn talk(client: &mut Client, stream: &mut TcpStream) -> Result<()> {
    let mut scratch = [0; SCRATCH];
    loop {
        stream.write_all(client.outgoing())?;
        client.sent(client.outgoing().len());
        let wanted = client.wanted().min(SCRATCH);
        match stream.read(&mut scratch[..wanted])? {
            0 => bail!("the SOCKS server closed the connection"),
            got => {
                if let Progress::Connected(_) = client.received(&scratch[..got])? {
                    return Ok(());
                }
            }
        }
    }
}

/// Closes the connection once pmcd has said something: then nobody is busy with it when the next
/// one begins.
fn end(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let got = stream.read(&mut [0; SCRATCH]).context("pmcd is silent")?;
    if got == 0 {
        bail!("the connection leads nowhere");
    }
    Ok(())
}
