//! The loads about streams: a volume is downloaded as fast as it comes, or not read at all.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use virt_proto::{FrameHead, FrameLimit, MessageType, Payload, RemoteError, Status};

use super::super::figures::{Figure, Sample};
use super::super::memory::{WARM_UP, growth};
use super::super::proc_fs::Watched;
use super::load::VOLUME;
use super::peer::Peer;
use super::wire::{create_pool, download, download_done, find_volume};

/// Bytes that one frame may carry: libvirtd's carry a quarter of a MiB.
const SCRATCH: usize = 512 << 10;

/// Makes the volume and has the daemon at the other end of `peer` know it. The file has no blocks:
/// what is read from it is made in memory, so that no disk is measured.
pub(super) fn prepare(peer: &Peer, folder: &Path, file: &Path) -> Result<()> {
    File::create(file)
        .and_then(|file| file.set_len(VOLUME))
        .with_context(|| format!("cannot make {}", file.display()))?;
    let xml = format!(
        "<pool type='dir'><name>bench</name><target><path>{}</path></target></pool>",
        folder.display()
    );
    create_pool(&mut peer.open()?, &xml)
}

/// Downloads the volume until `length` is over, and once at least; then as often again, measured.
pub(super) fn run(
    peer: &Peer,
    file: &str,
    length: Duration,
    proxy: Option<Watched>,
) -> Result<Sample> {
    let mut client = Downloader::new(peer, file)?;
    client.download()?;
    let cpu_before = proxy.map(Watched::cpu_time).transpose()?;
    let start = Instant::now();
    let mut times = 0_u32;
    while times == 0 || start.elapsed() < length {
        client.download()?;
        times += 1;
    }
    let took = start.elapsed();
    let cpu_after = proxy.map(Watched::cpu_time).transpose()?;
    let bytes = VOLUME as f64 * f64::from(times);
    let sample = Sample::default().with(Figure::Throughput, bytes / took.as_secs_f64());
    Ok(match cpu_before.zip(cpu_after) {
        Some((before, after)) => {
            let used = after.saturating_sub(before).as_secs_f64() * 1e6;
            sample.with(Figure::StreamCpu, used / (bytes / f64::from(1 << 20)))
        }
        None => sample,
    })
}

/// The most by which `proxy` grows while one client reads nothing of a download. It has been through
/// some whole ones before, so that what the proxy needs for any stream is not counted.
pub(super) fn stalled(peer: &Peer, file: &str, proxy: Watched) -> Result<Sample> {
    let mut warm = Vec::new();
    for _ in 0..WARM_UP {
        warm.push(Downloader::new(peer, file)?);
    }
    for client in warm.iter_mut().take(2) {
        client.download()?;
    }
    let before = proxy.resident()?;
    let mut client = Downloader::new(peer, file)?;
    client.begin()?;
    let grown = growth(before, proxy, || Ok(()))?;
    drop((warm, client));
    Ok(grown)
}

/// A client that downloads a volume again and again.
struct Downloader {
    stream: UnixStream,
    volume: Vec<u8>,
    scratch: Vec<u8>,
    /// How much of the scratch buffer the last frame's data took.
    data: usize,
}

impl Downloader {
    fn new(peer: &Peer, file: &str) -> Result<Downloader> {
        let mut stream = peer.open()?;
        let volume = find_volume(&mut stream, file)?;
        Ok(Downloader {
            stream,
            volume,
            scratch: vec![0; SCRATCH],
            data: 0,
        })
    }

    fn begin(&mut self) -> Result<()> {
        download(&mut self.stream, &self.volume)
    }

    fn download(&mut self) -> Result<()> {
        self.begin()?;
        let mut got = 0;
        loop {
            match self.next_data()? {
                Status::CONTINUE if self.data > 0 => got += self.data as u64,
                // No data is the end of the volume, which the client has to confirm.
                Status::CONTINUE => self
                    .stream
                    .write_all(&download_done())
                    .context("cannot end the stream")?,
                _ => break,
            }
        }
        ensure!(got == VOLUME, "{got} bytes of the volume came");
        Ok(())
    }

    /// Reads the stream's next frame, and says whether it goes on.
    fn next_data(&mut self) -> Result<Status> {
        let mut head = [0; FrameHead::SIZE];
        self.stream
            .read_exact(&mut head)
            .context("the stream does not go on")?;
        let head = FrameHead::decode(&head)?;
        self.data = FrameLimit::CURRENT.check(head.len)? as usize - FrameHead::SIZE;
        let came = self.data;
        let data = self.scratch.get_mut(..came);
        let data = data.with_context(|| format!("data of {came} bytes came at once"))?;
        self.stream
            .read_exact(data)
            .context("the stream was cut short")?;
        match (head.header.message_type, head.header.status) {
            (MessageType::STREAM, Status::ERROR) => {
                bail!("the stream failed: {}", RemoteError::decode(data)?)
            }
            (MessageType::STREAM, status) => Ok(status),
            (other, _) => bail!("{other} came in the middle of a stream"),
        }
    }
}
