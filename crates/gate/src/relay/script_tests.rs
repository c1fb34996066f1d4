//! The engine with an inspector that does everything: answers, swallows, waits, passes descriptors.
//! What a frame is to cause stands in the frame.

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
        if self.unheard > 2 || self.refuse.load(Ordering::Relaxed) {
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

#[test]
fn frames_are_swallowed_and_answered_however_they_are_cut() {
    let requests = [
        frame(PASS, 0, b"one"),
        frame(SWALLOW, 0, &pattern(1000)),
        frame(ANSWER, 0, b"who"),
        frame(PASS, 0, b""),
        frame(ANNOUNCE, 0, b"two"),
        frame(ANSWER, 0, b""),
        frame(SWALLOW, 0, b""),
        frame(PASS, 0, b"three"),
    ];
    let arrives = [
        frame(PASS, 0, b"one"),
        frame(PASS, 0, b""),
        notice(),
        frame(ANNOUNCE, 0, b"two"),
        frame(PASS, 0, b"three"),
    ]
    .concat();
    let requests = requests.concat();
    for size in [1, 2, 5, 6, 7, 11, 100, requests.len()] {
        let rig = Rig::new();
        let (mut client, server) = rig.tcp();
        for piece in requests.chunks(size) {
            client.write_all(piece).unwrap();
        }
        expect(&server, &arrives);
        expect(&client, &[answer(), answer()].concat());
    }
}

#[test]
fn an_answer_waits_until_the_frame_that_passes_is_whole() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    let reply = frame(PASS, 0, &pattern(100_000));
    server.write_all(&reply[..70_000]).unwrap();
    expect(&client, &reply[..70_000]);
    client.write_all(&frame(ANSWER, 0, b"who")).unwrap();
    client.write_all(&frame(PASS, 0, b"next")).unwrap();
    // The answer has been asked for by then.
    expect(&server, &frame(PASS, 0, b"next"));
    server.write_all(&reply[70_000..]).unwrap();
    server.write_all(&frame(PASS, 0, b"later")).unwrap();
    expect(&client, &reply[70_000..]);
    expect(&client, &answer());
    expect(&client, &frame(PASS, 0, b"later"));
}

#[test]
fn a_server_is_answered_while_its_client_sends_nothing() {
    let rig = Rig::new();
    let (client, mut server) = rig.tcp();
    for _ in 0..10 {
        server.write_all(&frame(ANSWER, 0, b"who")).unwrap();
        expect(&server, &answer());
    }
    drop(client);
    expect_end(&server);
}

#[test]
fn answers_are_sealed_like_what_passes() {
    let rig = Rig::new();
    let ((client, inner), (mut server, inner_server)) = (connected(), connected());
    let leg = Leg::secure(inner, XorChannel::default());
    rig.adopt(1, leg, inner_server.into(), Scripted::default());
    let mut client = SealedPeer(client);
    client.send(&[frame(PASS, 0, b"one"), frame(ANSWER, 0, b"")].concat());
    assert_eq!(client.record(), answer());
    expect(&server, &frame(PASS, 0, b"one"));
    server.write_all(&frame(ANNOUNCE, 0, b"two")).unwrap();
    assert_eq!(client.record(), notice());
    assert_eq!(client.record(), frame(ANNOUNCE, 0, b"two"));
}

/// A peer that speaks through a [`XorChannel`].
struct SealedPeer(TcpStream);

impl SealedPeer {
    fn send(&mut self, plain: &[u8]) {
        use crate::channel::Channel;
        let mut sealed = Vec::new();
        XorChannel::default().seal(plain, &mut sealed).unwrap();
        self.0.write_all(&sealed).unwrap();
    }

    fn record(&mut self) -> Vec<u8> {
        use crate::channel::{Channel, MAX_INSIDE};
        let mut head = [0; 4];
        self.0.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_be_bytes(head) as usize];
        self.0.read_exact(&mut body).unwrap();
        let mut plain = vec![0; MAX_INSIDE + body.len() + 4];
        let record = [&head[..], &body].concat();
        let opened = XorChannel::default().open(&record, &mut plain).unwrap();
        plain[..opened.len].to_vec()
    }
}

#[test]
fn answers_that_a_client_does_not_take_are_bounded() {
    let rig = Rig::new();
    let ((mut client, inner), (server, inner_server)) = (connected(), connected());
    for stream in [&client, &inner] {
        let socket = socket2::SockRef::from(stream);
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
    }
    rig.adopt(1, inner.into(), inner_server.into(), Scripted::default());
    client
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let questions = frame(ANSWER, 0, b"").repeat(10_000);
    let mut asked = 0;
    while asked < 64 << 20 {
        match client.write(&questions[asked % questions.len()..]) {
            Ok(count) => asked += count,
            Err(_) => break,
        }
    }
    // Socket buffers and one read, to each of which belongs twice as much in answers.
    assert!(asked < 8 << 20, "{asked} bytes of questions were taken");
    // All of them are answered once the client reads.
    expect(&client, &answer().repeat(asked / HEAD));
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    if asked % HEAD != 0 {
        client.write_all(&questions[asked % HEAD..HEAD]).unwrap();
        expect(&client, &answer());
    }
    client.write_all(&frame(PASS, 0, b"at last")).unwrap();
    expect(&server, &frame(PASS, 0, b"at last"));
}

// Clients that wait for their turn.

#[test]
fn a_side_that_waits_goes_on_when_the_other_has_sent_a_frame() {
    let requests: Vec<Vec<u8>> = (0..20u8).map(|n| frame(TURNWISE, 0, &[n; 9])).collect();
    for size in [1, 8, 1000] {
        let rig = Rig::new();
        let (mut client, mut server) = rig.tcp();
        for piece in requests.concat().chunks(size) {
            client.write_all(piece).unwrap();
        }
        server.set_nonblocking(true).unwrap();
        assert!(server.read(&mut [0; 9]).is_err());
        server.set_nonblocking(false).unwrap();
        for request in &requests {
            server.write_all(&frame(PASS, 0, b"go")).unwrap();
            expect(&client, &frame(PASS, 0, b"go"));
            expect(&server, request);
        }
    }
}

#[test]
fn a_client_that_waits_is_not_read() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    client
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    client.write_all(&frame(TURNWISE, 0, b"")).unwrap();
    let block = frame(PASS, 0, &pattern(100_000));
    let mut accepted = 0;
    while accepted < 256 << 20 {
        match client.write(&block[accepted % block.len()..]) {
            Ok(count) => accepted += count,
            Err(_) => break,
        }
    }
    assert!(accepted < 64 << 20, "{accepted} bytes were taken");
    server.write_all(&frame(PASS, 0, b"go")).unwrap();
    expect(&server, &frame(TURNWISE, 0, b""));
    for _ in 0..accepted / block.len() {
        expect(&server, &block);
    }
}

#[test]
fn a_client_that_dies_while_it_waits_frees_its_server() {
    let rig = Rig::new();
    let (mut client, server) = rig.tcp();
    client.write_all(&frame(TURNWISE, 0, b"")).unwrap();
    client.write_all(&pattern(100_000)).unwrap();
    drop(client);
    expect_end(&server);
    assert!(matches!(rig.end(), End::Closed(Side::Client)));
}

// Ends.

#[test]
fn the_end_of_the_client_is_the_end_of_the_session() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    client.write_all(&frame(PASS, 0, b"bye")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    expect(&server, &frame(PASS, 0, b"bye"));
    expect_end(&server);
    expect_end(&client);
    assert!(matches!(rig.end(), End::Closed(Side::Client)));
    let _ = server.write(b"late");
}

#[test]
fn the_end_of_a_client_that_its_server_does_not_read_is_an_end_at_once() {
    let rig = Rig::new();
    // On TCP the end would come behind what does not fit into the sockets.
    let (client, server) = rig.unix();
    client.set_nonblocking(true).unwrap();
    let block = frame(PASS, 0, &pattern(1_000_000));
    let mut sent = 0;
    while let Ok(count) = (&client).write(&block[sent % block.len()..]) {
        sent += count;
    }
    drop(client);
    rig.end();
    drop(server);
}

#[test]
fn after_the_end_of_the_server_the_client_gets_what_is_left() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    let reply = frame(PASS, 0, &pattern(3_000_000));
    let write = thread::spawn(move || {
        server.write_all(&reply).unwrap();
        reply
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == write.join().unwrap());
    // Nobody is there to read it, and it does no harm.
    client.write_all(&frame(PASS, 0, b"unread")).unwrap();
    drop(client);
    let end = rig.end();
    assert!(
        matches!(
            end,
            End::Closed(Side::Server) | End::Failed(Side::Server, _)
        ),
        "{end:?}"
    );
}

#[test]
fn sessions_that_are_dismissed_end_and_others_stay() {
    let rig = Rig::new();
    let sessions: Vec<_> = (0..4)
        .map(|tag| {
            let ((client, inner_client), (server, inner_server)) = (connected(), connected());
            rig.adopt(
                tag,
                inner_client.into(),
                inner_server.into(),
                Scripted::default(),
            );
            (client, server)
        })
        .collect();
    rig.relay.dismiss(|_, tag| tag % 2 == 1);
    let mut gone = Vec::new();
    for _ in 0..2 {
        let (tag, summary) = rig.ends.recv_timeout(DEADLINE).unwrap();
        assert!(matches!(summary.end, End::Dismissed), "{summary:?}");
        gone.push(tag);
    }
    gone.sort_unstable();
    assert_eq!(gone, [1, 3]);
    for (tag, (client, server)) in sessions.iter().enumerate() {
        let mut sender = client;
        if tag % 2 == 1 {
            expect_end(client);
            expect_end(server);
        } else {
            sender.write_all(&frame(PASS, 0, b"alive")).unwrap();
            expect(server, &frame(PASS, 0, b"alive"));
        }
    }
}

// Pulses.

fn beating() -> Scripted {
    Scripted {
        interval: Some(Duration::from_millis(20)),
        ..Scripted::default()
    }
}

#[test]
fn a_client_that_answers_its_pings_lives_and_one_that_falls_silent_does_not() {
    let rig = Rig::new();
    let ((mut client, inner_client), (server, inner_server)) = (connected(), connected());
    rig.adopt(1, inner_client.into(), inner_server.into(), beating());
    for _ in 0..5 {
        expect(&client, &ping());
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
    }
    let end = rig.end();
    assert!(
        matches!(&end, End::Refused(Side::Client, why) if why == "it is dead"),
        "{end:?}"
    );
    expect_end(&server);
}

#[test]
fn pings_never_come_inside_a_frame_and_do_not_pile_up() {
    let rig = Rig::new();
    let ((mut client, inner_client), (mut server, inner_server)) = (connected(), connected());
    let inspector = beating();
    let heard = Arc::clone(&inspector.heard);
    rig.adopt(1, inner_client.into(), inner_server.into(), inspector);
    let reply = frame(PASS, 0, &pattern(50_000));
    expect(&client, &ping());
    server.write_all(&reply[..30_000]).unwrap();
    // Pings that came before the frame are none of its.
    let mut start = [0; 10];
    loop {
        client.read_exact(&mut start).unwrap();
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
        if start != ping()[..] {
            break;
        }
    }
    let begun = heard.lock().unwrap().len();
    while heard.lock().unwrap().len() < begun + 3 {
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
        thread::yield_now();
    }
    server.write_all(&reply[30_000..]).unwrap();
    expect(&client, &reply[10..]);
    expect(&client, &[ping(), ping(), ping()].concat());
}

// Descriptors.

/// Sends bytes and descriptors together.
fn send_with(socket: &UnixStream, bytes: &[u8], descriptors: &[&OwnedFd]) {
    let rights: Vec<_> = descriptors.iter().map(|each| each.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !rights.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent.unwrap(), bytes.len());
}

/// Reads at most `len` bytes, and the descriptors that came along.
fn receive_with(socket: &UnixStream, len: usize) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = vec![0; len];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        flags,
    )
    .unwrap();
    bytes.truncate(got.bytes);
    let descriptors = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    (bytes, descriptors)
}

/// A file with a number in it.
fn numbered(number: u32) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&number.to_be_bytes()).unwrap();
    file.into()
}

fn number_in(descriptor: OwnedFd) -> u32 {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 4];
    File::from(descriptor).read_exact_at(&mut bytes, 0).unwrap();
    u32::from_be_bytes(bytes)
}

/// Sends a frame and its descriptors, as libvirt does.
fn send_frame(socket: &UnixStream, what: u8, body: &[u8], numbers: &[u32]) {
    let count = u8::try_from(numbers.len()).unwrap();
    let mut writer = socket;
    writer.write_all(&frame(what, count, body)).unwrap();
    for number in numbers {
        send_with(socket, &[0], &[&numbered(*number)]);
    }
}

/// Reads a frame with nothing else in it, then each byte with its descriptor.
fn expect_frame(socket: &UnixStream, what: u8, body: &[u8], numbers: &[u32]) {
    let expected = frame(what, u8::try_from(numbers.len()).unwrap(), body);
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let (bytes, stray) = receive_with(socket, expected.len() - got.len());
        assert!(!bytes.is_empty() && stray.is_empty());
        got.extend(bytes);
    }
    assert!(got == expected);
    for number in numbers {
        let (byte, mut descriptors) = receive_with(socket, 1);
        assert_eq!((byte.len(), descriptors.len()), (1, 1));
        assert_eq!(number_in(descriptors.remove(0)), *number);
    }
}

#[test]
fn descriptors_go_with_their_frames_in_both_directions() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    send_frame(&client, PASS, b"none", &[]);
    send_frame(&client, PASS, b"two", &[1, 2]);
    send_frame(&client, PASS, b"one", &[3]);
    expect_frame(&server, PASS, b"none", &[]);
    expect_frame(&server, PASS, b"two", &[1, 2]);
    expect_frame(&server, PASS, b"one", &[3]);
    let many: Vec<u32> = (0..32).collect();
    send_frame(&server, PASS, &pattern(300_000), &many);
    send_frame(&server, PASS, b"and more", &[]);
    expect_frame(&client, PASS, &pattern(300_000), &many);
    expect_frame(&client, PASS, b"and more", &[]);
}

#[test]
fn swallowed_frames_take_their_descriptors_with_them() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    let open = watch_for(&client);
    send_with(&client, &frame(SWALLOW, 1, b"gone"), &[]);
    send_with(&client, &[0], &[&open.inner]);
    send_frame(&client, PASS, b"stays", &[7]);
    expect_frame(&server, PASS, b"stays", &[7]);
    open.expect_closed();
}

/// A descriptor of which it can be told whether anybody still has it.
struct Watched {
    inner: OwnedFd,
    outer: UnixStream,
}

fn watch_for(_of: &UnixStream) -> Watched {
    let (outer, inner) = pair();
    Watched {
        inner: inner.into(),
        outer,
    }
}

impl Watched {
    /// Nobody has it besides us.
    fn expect_closed(self) {
        drop(self.inner);
        expect_end(&self.outer);
    }
}

#[test]
fn a_descriptor_that_belongs_to_no_frame_is_closed() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    let (first, second) = (watch_for(&client), watch_for(&client));
    let request = frame(PASS, 0, b"nothing comes with it");
    send_with(&client, &request[..4], &[&first.inner]);
    send_with(&client, &request[4..], &[&second.inner]);
    expect_frame(&server, PASS, b"nothing comes with it", &[]);
    first.expect_closed();
    second.expect_closed();
}

#[test]
fn of_several_descriptors_on_one_byte_one_is_passed() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    let strays = [watch_for(&client), watch_for(&client)];
    let number = numbered(5);
    send_with(&client, &frame(PASS, 1, b""), &[]);
    let all = [&number, &strays[0].inner, &strays[1].inner];
    send_with(&client, &[0], &all);
    expect_frame(&server, PASS, b"", &[5]);
    for stray in strays {
        stray.expect_closed();
    }
}

#[test]
fn a_missing_descriptor_ends_the_session_and_says_so() {
    for what in [PASS, SWALLOW] {
        let rig = Rig::new();
        let (client, server) = rig.unix();
        send_frame(&client, PASS, b"good", &[1]);
        send_with(&client, &frame(what, 2, b"bad"), &[]);
        send_with(&client, &[0], &[&numbered(2)]);
        (&client).write_all(&[0]).unwrap();
        let end = rig.end();
        assert!(
            matches!(&end, End::Failed(Side::Client, why) if why.to_string().contains("descriptor")),
            "{end:?}"
        );
        expect_frame(&server, PASS, b"good", &[1]);
    }
}

#[test]
fn descriptors_for_a_side_that_can_take_none_end_the_session() {
    let rig = Rig::new();
    let ((client, inner_client), (server, inner_server)) = (connected(), pair_legs());
    rig.adopt(1, inner_client.into(), inner_server, Scripted::default());
    send_frame(&server, SWALLOW, b"gone", &[1]);
    send_frame(&server, PASS, b"fine", &[]);
    expect(&client, &frame(PASS, 0, b"fine"));
    (&server).write_all(&frame(PASS, 1, b"not this")).unwrap();
    let end = rig.end();
    assert!(matches!(end, End::Failed(Side::Client, _)), "{end:?}");
}

/// A peer's end and the engine's leg, in the order of [`connected`].
fn pair_legs() -> (UnixStream, Leg) {
    let (outer, inner) = pair();
    (outer, Leg::passing(inner))
}

#[test]
fn descriptors_wait_with_their_frames_for_a_slow_receiver() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    let frames: Vec<(Vec<u8>, Vec<u32>)> = (0..60u32)
        .map(|n| {
            (
                pattern(n as usize * 997),
                (0..n % 4).map(|each| n * 10 + each).collect(),
            )
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (body, numbers) in &frames {
                send_frame(&client, PASS, body, numbers);
            }
        });
        // The sender is stuck by now: socket buffers are smaller than all of this.
        rustix::event::poll(
            &mut [rustix::event::PollFd::new(
                &server,
                rustix::event::PollFlags::IN,
            )],
            None,
        )
        .unwrap();
        for (body, numbers) in &frames {
            expect_frame(&server, PASS, body, numbers);
        }
    });
}

#[test]
fn a_frame_of_one_side_waits_for_the_descriptors_of_another() {
    let rig = Rig::new();
    let (client, server) = rig.unix();
    // Between a frame and its descriptor is no place for an answer.
    (&server).write_all(&frame(PASS, 1, b"half")).unwrap();
    let mut start = vec![0; HEAD + 4];
    (&client).read_exact(&mut start).unwrap();
    send_frame(&client, ANSWER, b"who", &[]);
    send_frame(&client, PASS, b"next", &[]);
    expect_frame(&server, PASS, b"next", &[]);
    send_with(&server, &[0], &[&numbered(9)]);
    let (byte, mut descriptors) = receive_with(&client, 1);
    assert_eq!((byte, number_in(descriptors.remove(0))), (vec![0], 9));
    expect(&client, &answer());
}

#[test]
fn a_session_that_ends_with_descriptors_on_their_way_leaves_none_behind() {
    for who_dies in [Side::Client, Side::Server] {
        let rig = Rig::new();
        let (client, server) = rig.unix();
        client.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        // Until the engine has parked a frame with a descriptor, and more are in the sockets.
        for _ in 0..200 {
            let each = watch_for(&client);
            let request = frame(PASS, 1, &pattern(20_000));
            if (&client).write(&request).ok() != Some(request.len()) {
                break;
            }
            let rights = [each.inner.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&rights));
            let byte = [IoSlice::new(&[0])];
            let sent = sendmsg(&client, &byte, &mut control, SendFlags::DONTWAIT);
            all.push(each);
            if sent.is_err() {
                break;
            }
        }
        // One that waits to be judged, in another session.
        let (waiting, other) = rig.unix();
        let backlogged = watch_for(&client);
        (&waiting).write_all(&frame(TURNWISE, 1, b"")).unwrap();
        send_with(&waiting, &[0], &[&backlogged.inner]);
        match who_dies {
            Side::Client => drop((client, waiting)),
            Side::Server => {
                drop((server, other));
                drop((client, waiting));
                rig.end();
                rig.end();
                assert!(!all.is_empty());
                all.into_iter().for_each(Watched::expect_closed);
                backlogged.expect_closed();
                continue;
            }
        }
        rig.end();
        rig.end();
        drop((server, other));
        assert!(!all.is_empty());
        all.into_iter().for_each(Watched::expect_closed);
        backlogged.expect_closed();
    }
}

/// A frame of a mix: what to do, the size of its body, and its descriptors.
type Part = (u8, usize, u8);

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let what = prop::sample::select(vec![PASS, SWALLOW, ANSWER, ANNOUNCE]);
    let size = prop_oneof![Just(0usize), 1usize..100, 1000usize..100_000];
    prop::collection::vec((what, size, 0u8..4), 1..12)
}

/// Sends the frames in pieces, and their descriptors. Gives how many answers there will be.
fn send_parts(socket: &UnixStream, parts: &[Part], cuts: &[usize]) {
    let mut cuts = cuts.iter().cycle();
    let mut writer = socket;
    for (number, (what, size, descriptors)) in (0u32..).zip(parts) {
        let bytes = frame(*what, *descriptors, &pattern(*size));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            writer.write_all(piece).unwrap();
            rest = more;
        }
        for each in 0..u32::from(*descriptors) {
            send_with(socket, &[0], &[&numbered(number * 10 + each)]);
        }
    }
}

fn expect_parts(socket: &UnixStream, parts: &[Part]) {
    for (number, (what, size, descriptors)) in (0u32..).zip(parts) {
        if *what == ANNOUNCE {
            expect(socket, &notice());
        }
        if *what == PASS || *what == ANNOUNCE {
            let numbers: Vec<u32> = (0..u32::from(*descriptors))
                .map(|each| number * 10 + each)
                .collect();
            expect_frame(socket, *what, &pattern(*size), &numbers);
        }
    }
}

fn answers(parts: &[Part]) -> usize {
    parts.iter().filter(|(what, ..)| *what == ANSWER).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_mix_of_frames_arrives_unchanged_with_its_descriptors(
        parts in parts(),
        cuts in prop::collection::vec(1usize..70_000, 1..8),
        upwards in any::<bool>(),
    ) {
        let rig = Rig::new();
        let (client, server) = rig.unix();
        let (from, to) = if upwards { (client, server) } else { (server, client) };
        thread::scope(|scope| {
            scope.spawn(|| send_parts(&from, &parts, &cuts));
            expect_parts(&to, &parts);
        });
        expect(&from, &answer().repeat(answers(&parts)));
    }
}
