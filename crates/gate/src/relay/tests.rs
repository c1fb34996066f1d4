//! The engine on real sockets: every byte, in order, whatever the peers do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::io::ioctl_fionread;
use testbed::eventually;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// Frames of a big-endian length in their first four bytes, which counts itself; lengths below four
/// end the session. Those of clients are counted.
#[derive(Default)]
pub(super) struct LengthFrames(Arc<AtomicU64>);

impl Inspector for LengthFrames {
    type Refusal = String;
    type Tally = AtomicU64;

    fn enter(&mut self, tally: &Arc<AtomicU64>) {
        self.0 = Arc::clone(tally);
    }

    fn inspect(&mut self, side: Side, head: &[u8], _out: &mut Outbox) -> Verdict<String> {
        match (
            side,
            head.first_chunk::<4>()
                .map(|length| u32::from_be_bytes(*length)),
        ) {
            (Side::Server, _) => Verdict::PassAll,
            (Side::Client, None) => Verdict::Want(4),
            (Side::Client, Some(length @ 0..4)) => Verdict::End(format!("length {length}")),
            (Side::Client, Some(length)) => {
                let count = self.0.load(Ordering::Relaxed) + 1;
                self.0.store(count, Ordering::Relaxed);
                Verdict::Pass(length.into())
            }
        }
    }
}

pub(super) struct Rig {
    pub(super) relay: Relay<LengthFrames, u32>,
    ends: Receiver<(u32, Summary<String>)>,
}

impl Rig {
    pub(super) fn new() -> Rig {
        let (sender, ends) = channel();
        let threads = NonZeroUsize::new(2).unwrap();
        let relay = Relay::start(threads, move |tag, summary| {
            let _ = sender.send((tag, summary));
        });
        Rig {
            relay: relay.unwrap(),
            ends,
        }
    }

    /// A session: the client's end and the server's end of it.
    fn session(&self, tag: u32, early: &[u8]) -> (TcpStream, TcpStream) {
        let (client, inner_client) = connected();
        let (inner_server, server) = connected();
        self.adopt(tag, inner_client.into(), inner_server.into(), early);
        (client, server)
    }

    pub(super) fn adopt(&self, tag: u32, client: Leg, server: Leg, early: &[u8]) {
        let handover = Handover {
            client,
            server,
            early: early.to_vec(),
            inspector: LengthFrames::default(),
            tag,
        };
        assert!(self.relay.hand_over(handover).is_ok());
    }

    pub(super) fn end(&self) -> (u32, Summary<String>) {
        self.ends.recv_timeout(DEADLINE).expect("the session ends")
    }
}

pub(super) fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    for stream in [&one, &other] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
    }
    (one, other)
}

pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

/// Bytes that differ from place to place.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect()
}

fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn read_exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Closing the socket will reset the connection.
fn reset_on_close(stream: &TcpStream) {
    socket2::SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[test]
fn bytes_pass_in_both_directions_and_early_ones_come_first() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.session(7, &frame(b"early")[..6]);
    client.write_all(&frame(b"early")[6..]).unwrap();
    client.write_all(&frame(b"late")).unwrap();
    assert_eq!(
        read_exactly(&server, 17),
        [frame(b"early"), frame(b"late")].concat()
    );
    server.write_all(b"answer").unwrap();
    assert_eq!(read_exactly(&client, 6), b"answer");
    drop(client);
    assert_eq!(read_to_end(&server), b"");
    drop(server);
    let (tag, summary) = rig.end();
    assert!(
        matches!(summary.end, End::Closed(Side::Client)),
        "{summary:?}"
    );
    assert_eq!((tag, summary.to_server, summary.to_client), (7, 17, 6));
    let totals = Totals {
        sessions: 0,
        to_server: 17,
        to_client: 6,
    };
    assert_eq!(rig.relay.totals(), totals);
    let counts = rig
        .relay
        .tallies()
        .map(|tally| tally.load(Ordering::Relaxed));
    assert_eq!(counts.sum::<u64>(), 2);
}

#[tokio::test]
async fn a_survey_tells_what_each_session_has_moved() {
    let rig = Rig::new();
    assert_eq!(rig.relay.survey(|_, tag, _| *tag).await, []);
    let sessions: Vec<_> = (1..=3u8).map(|tag| rig.session(tag.into(), b"")).collect();
    for (number, (client, server)) in sessions.iter().enumerate() {
        let (mut to_server, mut to_client) = (client, server);
        for _ in 0..=number {
            to_server.write_all(&frame(b"ask")).unwrap();
        }
        to_client.write_all(b"answer").unwrap();
        read_exactly(server, 7 * (number + 1));
        read_exactly(client, 6);
    }
    let note = |_: &LengthFrames, tag: &u32, moved: Moved| {
        (*tag, moved.to_server, moved.client_frames, moved.to_client)
    };
    let mut notes = rig.relay.survey(note).await;
    notes.sort_unstable();
    assert_eq!(notes, [(1, 7, 1, 6), (2, 14, 2, 6), (3, 21, 3, 6)]);
    drop(sessions);
    for _ in 0..3 {
        rig.end();
    }
    assert_eq!(rig.relay.survey(|_, tag, _| *tag).await, []);
}

#[test]
fn half_close_travels_and_late_replies_still_arrive() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.session(1, b"");
    client.write_all(&frame(b"last request")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&server), frame(b"last request"));
    server.write_all(b"late reply").unwrap();
    assert_eq!(read_exactly(&client, 10), b"late reply");
    drop(server);
    assert_eq!(read_to_end(&client), b"");
    assert!(matches!(rig.end().1.end, End::Closed(Side::Client)));
}

#[test]
fn a_frame_that_is_refused_ends_the_session_and_goes_nowhere() {
    let rig = Rig::new();
    let (mut client, server) = rig.session(1, b"");
    client.write_all(&frame(b"good")).unwrap();
    assert_eq!(read_exactly(&server, 8), frame(b"good"));
    client.write_all(&[0, 0]).unwrap();
    client.write_all(&[0, 3, 9, 9]).unwrap();
    assert_eq!(read_to_end(&server), b"");
    let (_, summary) = rig.end();
    assert!(matches!(&summary.end, End::Refused(Side::Client, why) if why == "length 3"));
    assert_eq!(summary.to_server, 8);
}

#[test]
fn a_client_that_resets_frees_its_server_at_once() {
    let rig = Rig::new();
    let (mut client, server) = rig.session(1, b"");
    client.write_all(&frame(b"request")).unwrap();
    assert_eq!(read_exactly(&server, 11), frame(b"request"));
    reset_on_close(&client);
    drop(client);
    // The server has neither sent nor closed anything.
    assert!(matches!(rig.end().1.end, End::Failed(Side::Client, _)));
    assert_eq!(read_to_end(&server), b"");
}

#[test]
fn what_a_server_sent_before_it_failed_still_reaches_the_client() {
    let rig = Rig::new();
    let ((mut client, inner_client), (inner_server, mut server)) = (connected(), connected());
    let inner = inner_server.try_clone().unwrap();
    rig.adopt(1, inner_client.into(), inner_server.into(), b"");
    client.write_all(&frame(b"request")).unwrap();
    read_exactly(&server, 1);
    // The client reads nothing, until the engine leaves what the server sends where it is.
    let piece = pattern(20_000);
    let is_read = || ioctl_fionread(&inner).unwrap() == 0;
    let mut sent = Vec::new();
    while eventually(Duration::from_millis(200), "the engine to read", is_read).is_ok() {
        server.write_all(&piece).unwrap();
        sent.extend_from_slice(&piece);
    }
    // It closes without having read all of the request, so that the connection is reset.
    drop(server);
    client.write_all(&frame(b"too late")).unwrap();
    assert!(read_to_end(&client) == sent);
    drop(client);
    let end = rig.end().1.end;
    assert!(
        matches!(
            end,
            End::Failed(Side::Server, _) | End::Closed(Side::Server)
        ),
        "{end:?}"
    );
}

#[test]
fn bulk_arrives_whole_whatever_the_pace_of_the_reader() {
    let rig = Rig::new();
    let (client, server) = rig.session(1, b"");
    let (request, reply) = (frame(&pattern(9_000_000)), pattern(24_000_001));
    thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(&request).unwrap());
        scope.spawn(|| (&server).write_all(&reply).unwrap());
        let at_server = scope.spawn(|| slowly(&mut &server, request.len()));
        let at_client = scope.spawn(|| slowly(&mut &client, reply.len()));
        assert!(at_server.join().unwrap() == request);
        assert!(at_client.join().unwrap() == reply);
    });
}

/// Reads in pieces of many sizes.
pub(super) fn slowly(stream: &mut (impl Read + ?Sized), len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    let mut sizes = [1, 77, 4096, 100_000, 13, 1_000_000].iter().cycle();
    let mut piece = vec![0; 1_000_000];
    while bytes.len() < len {
        let size = sizes.next().copied().unwrap_or(1);
        let count = stream.read(&mut piece[..size]).unwrap();
        assert!(
            count > 0,
            "the stream ended after {} of {len} bytes",
            bytes.len()
        );
        bytes.extend_from_slice(&piece[..count]);
        thread::yield_now();
    }
    bytes
}

#[test]
fn what_a_client_does_not_take_is_not_read() {
    let rig = Rig::new();
    let (client, mut server) = rig.session(1, b"");
    for stream in [&client, &server] {
        socket2::SockRef::from(stream)
            .set_recv_buffer_size(64 * 1024)
            .unwrap();
    }
    let blocks = Duration::from_millis(300);
    server.set_write_timeout(Some(blocks)).unwrap();
    let block = pattern(1 << 20);
    let mut accepted = 0;
    while accepted < 256 << 20 {
        match server.write(&block[accepted % block.len()..]) {
            Ok(count) => accepted += count,
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                ));
                break;
            }
        }
    }
    // Socket buffers and one pipe: the rest stays with the sender.
    assert!(
        accepted < 64 << 20,
        "{accepted} bytes were taken for a client that reads nothing"
    );
    drop(server);
    let received = read_to_end(&client);
    assert_eq!(received.len(), accepted);
    assert!(
        received
            .chunks(block.len())
            .all(|chunk| *chunk == block[..chunk.len()])
    );
}

#[test]
fn a_stalled_session_does_not_hold_up_another() {
    let rig = Rig::new();
    let stalled: Vec<_> = (0..8).map(|tag| rig.session(tag, b"")).collect();
    for (_, server) in &stalled {
        server.set_nonblocking(true).unwrap();
        let mut server = server;
        while server.write(&[0; 100_000]).is_ok() {}
    }
    let (mut client, mut server) = rig.session(99, b"");
    for _ in 0..100 {
        client.write_all(&frame(b"ping")).unwrap();
        assert_eq!(read_exactly(&server, 8), frame(b"ping"));
        server.write_all(b"pong").unwrap();
        assert_eq!(read_exactly(&client, 4), b"pong");
    }
}

#[test]
fn an_engine_that_is_dropped_ends_its_sessions() {
    let rig = Rig::new();
    let (client, server) = rig.session(5, b"");
    drop(rig.relay);
    assert_eq!(read_to_end(&client), b"");
    assert_eq!(read_to_end(&server), b"");
    let (tag, summary) = rig.ends.recv_timeout(DEADLINE).unwrap();
    assert_eq!(tag, 5);
    assert!(matches!(summary.end, End::Shutdown));
}

#[test]
fn many_sessions_come_and_go_without_leaving_anything_behind() {
    let rig = Rig::new();
    for round in 0..50u32 {
        let sessions: Vec<_> = (0..20)
            .map(|each| rig.session(round * 20 + each, b""))
            .collect();
        for (number, (client, server)) in sessions.iter().enumerate() {
            let mut client = client;
            client.write_all(&frame(&number.to_be_bytes())).unwrap();
            assert_eq!(read_exactly(server, 12), frame(&number.to_be_bytes()));
            match number % 3 {
                0 => reset_on_close(client),
                1 => server.shutdown(Shutdown::Both).unwrap(),
                _ => {}
            }
        }
        drop(sessions);
        for _ in 0..20 {
            rig.end();
        }
        assert_eq!(rig.relay.totals().sessions, 0);
    }
}
