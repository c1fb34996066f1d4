//! The engine with an inspector that does everything: answers, swallows, waits, passes descriptors.
//! What a frame is to cause stands in the frame.
//! This file has the inspector and the rig; the tests are beside it, by topic.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::tests::{connected, pattern};
use super::*;
use crate::channel::testing::XorChannel;

mod answers;
mod descriptors;
mod ends;
mod mix;
mod pauses;
mod pulses;

const DEADLINE: Duration = Duration::from_secs(20);

/// Frames of a big-endian length of four bytes, which counts itself, what to do, how many descriptors
/// follow, and a body.
const HEAD: usize = 6;

/// What to do with a frame.
const PASS: u8 = b'P';
const SWALLOW: u8 = b'S';
/// Swallow it, and send an answer back.
const ANSWER: u8 = b'A';
/// Pass it, and send a frame before it.
const ANNOUNCE: u8 = b'N';
/// Pass it when the other side has sent a frame since the last of this kind.
const TURNWISE: u8 = b'T';

#[derive(Default)]
pub(super) struct Scripted {
    /// Frames that the other side has passed and that nobody has waited for.
    credit: u8,
    interval: Option<Duration>,
    /// How many pulses in a row may hear nothing.
    patience: u8,
    unheard: u8,
    /// What each pulse heard.
    heard: Arc<Mutex<Vec<bool>>>,
    /// Ends the session at the next pulse.
    refuse: Arc<AtomicBool>,
}

fn frame(what: u8, descriptors: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEAD + body.len()).unwrap();
    [&length.to_be_bytes()[..], &[what, descriptors], body].concat()
}

fn answer() -> Vec<u8> {
    frame(PASS, 0, b"answer")
}

fn notice() -> Vec<u8> {
    frame(PASS, 0, b"notice")
}

fn ping() -> Vec<u8> {
    frame(PASS, 0, b"ping")
}

impl Inspector for Scripted {
    type Refusal = String;
    type Tally = ();

    const WHOLE_ENDS: bool = true;

    fn inspect(&mut self, side: Side, head: &[u8], out: &mut Outbox) -> Verdict<String> {
        let Some(&[a, b, c, d, what, descriptors]) = head.first_chunk::<HEAD>() else {
            return Verdict::Want(HEAD);
        };
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        match what {
            PASS => {}
            SWALLOW => return Verdict::Swallow { len, descriptors },
            ANSWER => {
                out.send(side, &answer());
                return Verdict::Swallow { len, descriptors };
            }
            ANNOUNCE => out.send(side.other(), &notice()),
            TURNWISE if self.credit == 0 => return Verdict::Pause,
            TURNWISE => self.credit -= 1,
            other => return Verdict::End(format!("what is {other}?")),
        }
        if side == Side::Server {
            self.credit = self.credit.saturating_add(1);
        }
        Verdict::PassWith { len, descriptors }
    }

    fn pulse_interval(&self) -> Option<Duration> {
        self.interval
    }

    fn pulse(&mut self, heard: bool, out: &mut Outbox) -> Result<(), String> {
        self.heard.lock().unwrap().push(heard);
        self.unheard = if heard { 0 } else { self.unheard + 1 };
        if self.unheard > self.patience || self.refuse.load(Ordering::Relaxed) {
            return Err("it is dead".into());
        }
        out.send(Side::Client, &ping());
        Ok(())
    }
}

struct Rig {
    relay: Relay<Scripted, u32>,
    ends: Receiver<(u32, Summary<String>)>,
}

impl Rig {
    fn new() -> Rig {
        let (sender, ends) = channel();
        let relay = Relay::start(NonZeroUsize::MIN, move |tag, summary| {
            let _ = sender.send((tag, summary));
        });
        Rig {
            relay: relay.unwrap(),
            ends,
        }
    }

    fn adopt(&self, tag: u32, client: Leg, server: Leg, inspector: Scripted) {
        let handover = Handover {
            client,
            server,
            early: Vec::new(),
            inspector,
            tag,
        };
        assert!(self.relay.hand_over(handover).is_ok());
    }

    fn tcp(&self) -> (TcpStream, TcpStream) {
        let ((client, inner_client), (server, inner_server)) = (connected(), connected());
        self.adopt(
            1,
            inner_client.into(),
            inner_server.into(),
            Scripted::default(),
        );
        (client, server)
    }

    /// Both sides on unix sockets over which descriptors pass.
    fn unix(&self) -> (UnixStream, UnixStream) {
        let ((client, inner_client), (server, inner_server)) = (pair(), pair());
        let (to_client, to_server) = (Leg::passing(inner_client), Leg::passing(inner_server));
        self.adopt(1, to_client, to_server, Scripted::default());
        (client, server)
    }

    fn end(&self) -> End<String> {
        self.ends
            .recv_timeout(DEADLINE)
            .expect("the session ends")
            .1
            .end
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_read_timeout(Some(DEADLINE)).unwrap();
    one.set_write_timeout(Some(DEADLINE)).unwrap();
    (one, other)
}

fn expect(mut stream: impl Read, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap();
    assert!(got == bytes, "{got:?} instead of {bytes:?}");
}

fn expect_end(mut stream: impl Read) {
    assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
}

// Frames that are swallowed, answered and announced.
