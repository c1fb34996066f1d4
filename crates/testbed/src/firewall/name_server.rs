//! A name server that knows what a test tells it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::host::Host;

/// RFC 1035: the header of a message, and types of records.
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// How often it looks whether it is to end.
const PACE: Duration = Duration::from_millis(50);

/// A server on port 53 of an address of a host, over UDP. It denies all names that it was not given.
#[derive(Debug)]
pub struct NameServer {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    names: Vec<(String, IpAddr)>,
    asked: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl NameServer {
    /// Starts one with these names.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(host: &Host, address: &str, names: &[(&str, &str)]) -> Result<NameServer> {
        let address = SocketAddr::new(address.parse()?, 53);
        let socket = host
            .enter(|| UdpSocket::bind(address))?
            .with_context(|| format!("cannot bind {address}"))?;
        socket.set_read_timeout(Some(PACE))?;
        let names = names
            .iter()
            .map(|(name, address)| Ok(((*name).to_owned(), address.parse()?)))
            .collect::<Result<_>>()?;
        let shared = Arc::new(Shared {
            names,
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let shared_too = Arc::clone(&shared);
        let worker = std::thread::spawn(move || serve(&socket, &shared_too));
        Ok(NameServer {
            shared,
            worker: Some(worker),
        })
    }

    /// The names that it was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.shared.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(worker) = self.worker.take() {
            // It only reads, notes and answers.
            let _ = worker.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut message = [0; 1500];
    while !shared.over.load(Ordering::SeqCst) {
        let Ok((len, from)) = socket.recv_from(&mut message) else {
            continue;
        };
        if let Some(answer) = answer(&message[..len], shared) {
            // A client that has gone needs no answer.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a question, or none if it makes no sense.
fn answer(question: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let (name, end) = read_name(question)?;
    let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().ok()?);
    let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.push(name.clone());
    drop(asked);
    let known: Vec<IpAddr> = shared
        .names
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(&name))
        .map(|(_, address)| *address)
        .collect();
    let records: Vec<Vec<u8>> = known
        .iter()
        .filter_map(|address| match (kind, address) {
            (TYPE_A, IpAddr::V4(v4)) => Some(v4.octets().to_vec()),
            (TYPE_AAAA, IpAddr::V6(v6)) => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let count = u8::try_from(records.len()).ok()?;
    let denied: u8 = if known.is_empty() { 3 } else { 0 };
    // A response with recursion; one question, the records, nothing else.
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x81, 0x80 | denied, 0, 1, 0, count, 0, 0, 0, 0]);
    out.extend(question.get(HEADER..end + 4)?);
    for record in records {
        // The name of the question, its kind, class IN, for a minute.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(record.len()).ok()?]);
        out.extend(record);
    }
    Some(out)
}

/// The name behind the header, and where it ends.
fn read_name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let len = usize::from(*question.get(at)?);
        at += 1;
        if len == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + len)?).into_owned());
        at += len;
    }
}
