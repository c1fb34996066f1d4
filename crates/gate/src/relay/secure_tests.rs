//! The engine between peers of which one or both speak TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    StreamOwned,
};

use socket2::SockRef;

use super::tests::{Rig, connected, frame, pattern, slowly};
use super::*;
use crate::tls::TlsChannel;

/// What a peer of the engine reads and writes.
trait Peer: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
    /// Says that nothing more comes.
    fn finish(&mut self);
}

impl Peer for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// A peer that speaks TLS, on either side of the handshake.
struct TlsPeer {
    connection: Connection,
    socket: TcpStream,
}

/// Does `$work` with the stream of a [`TlsPeer`], which has another type on each side.
macro_rules! with_stream {
    ($peer:expr, $stream:ident => $work:expr) => {
        match &mut $peer.connection {
            Connection::Client(connection) => {
                let mut $stream = rustls::Stream::new(connection, &mut $peer.socket);
                $work
            }
            Connection::Server(connection) => {
                let mut $stream = rustls::Stream::new(connection, &mut $peer.socket);
                $work
            }
        }
    };
}

impl Read for TlsPeer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        with_stream!(self, stream => stream.read(buffer))
    }
}

impl Write for TlsPeer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        with_stream!(self, stream => stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        with_stream!(self, stream => stream.flush())
    }
}

impl Peer for TlsPeer {
    fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        self.connection.complete_io(&mut self.socket).unwrap();
        self.socket.shutdown(Shutdown::Write).unwrap();
    }
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

static CONFIGS: LazyLock<Configs> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["peer.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Configs {
        server: Arc::new(server.unwrap()),
        client: Arc::new(client),
    }
});

fn as_server() -> Connection {
    ServerConnection::new(Arc::clone(&CONFIGS.server))
        .unwrap()
        .into()
}

fn as_client() -> Connection {
    let name = ServerName::try_from("peer.test").unwrap();
    ClientConnection::new(Arc::clone(&CONFIGS.client), name)
        .unwrap()
        .into()
}

/// A connected pair: the peer's end, and the engine's leg, which has the part of `ours` in TLS.
fn secure_pair(mut ours: Connection, theirs: Connection) -> (TlsPeer, Leg) {
    let (outer, mut inner) = connected();
    let mut peer = TlsPeer {
        connection: theirs,
        socket: outer,
    };
    thread::scope(|scope| {
        let shaken = scope.spawn(|| {
            while ours.is_handshaking() || ours.wants_write() {
                ours.complete_io(&mut inner).unwrap();
            }
        });
        while peer.connection.is_handshaking() {
            peer.connection.complete_io(&mut peer.socket).unwrap();
        }
        shaken.join().unwrap();
    });
    (peer, Leg::secure(inner, TlsChannel::new(ours)))
}

/// A session between a client and a server, of which those that are `true` speak TLS.
fn session(rig: &Rig, secure: (bool, bool), early: &[u8]) -> (Box<dyn Peer>, Box<dyn Peer>) {
    let (client, client_leg): (Box<dyn Peer>, Leg) = if secure.0 {
        let (peer, leg) = secure_pair(as_server(), as_client());
        (Box::new(peer), leg)
    } else {
        let (outer, inner) = connected();
        (Box::new(outer), inner.into())
    };
    let (server, server_leg): (Box<dyn Peer>, Leg) = if secure.1 {
        let (peer, leg) = secure_pair(as_client(), as_server());
        (Box::new(peer), leg)
    } else {
        let (outer, inner) = connected();
        (Box::new(outer), inner.into())
    };
    rig.adopt(1, client_leg, server_leg, early);
    (client, server)
}

const MIXES: [(bool, bool); 3] = [(true, true), (true, false), (false, true)];

fn read_exactly(peer: &mut (impl Read + ?Sized), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_pass_between_legs_of_either_kind_and_early_ones_come_first() {
    for secure in MIXES {
        let rig = Rig::new();
        let (mut client, mut server) = session(&rig, secure, &frame(b"early")[..6]);
        client.write_all(&frame(b"early")[6..]).unwrap();
        client.write_all(&frame(b"late")).unwrap();
        let both = [frame(b"early"), frame(b"late")].concat();
        assert_eq!(read_exactly(&mut *server, 17), both);
        server.write_all(b"answer").unwrap();
        assert_eq!(read_exactly(&mut *client, 6), b"answer");
        client.finish();
        assert_eq!(server.read(&mut [0; 9]).unwrap(), 0);
        server.finish();
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
        let (_, summary) = rig.end();
        assert!(
            matches!(summary.end, End::Closed(Side::Client)),
            "{summary:?}"
        );
        assert_eq!((summary.to_server, summary.to_client), (17, 6));
    }
}

#[test]
fn frames_inside_a_channel_are_judged() {
    let rig = Rig::new();
    let (mut client, mut server) = session(&rig, (true, true), b"");
    client.write_all(&frame(b"good")).unwrap();
    assert_eq!(read_exactly(&mut *server, 8), frame(b"good"));
    client.write_all(&[0, 0]).unwrap();
    client.write_all(&[0, 3, 9, 9]).unwrap();
    let (_, summary) = rig.end();
    assert!(matches!(&summary.end, End::Refused(Side::Client, why) if why == "length 3"));
    let error = server.read(&mut [0; 9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn late_replies_arrive_after_a_channel_was_half_closed() {
    for secure in MIXES {
        let rig = Rig::new();
        let (mut client, mut server) = session(&rig, secure, b"");
        client.write_all(&frame(b"last request")).unwrap();
        client.finish();
        assert_eq!(read_exactly(&mut *server, 16), frame(b"last request"));
        assert_eq!(server.read(&mut [0; 9]).unwrap(), 0);
        server.write_all(b"late reply").unwrap();
        assert_eq!(read_exactly(&mut *client, 10), b"late reply");
        server.finish();
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
        assert!(matches!(rig.end().1.end, End::Closed(Side::Client)));
    }
}

#[test]
fn a_channel_that_is_cut_off_is_not_passed_on_as_one_that_was_closed() {
    let rig = Rig::new();
    let (client, mut server) = session(&rig, (true, true), b"");
    client.socket().shutdown(Shutdown::Write).unwrap();
    let error = server.read(&mut [0; 9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_forged_record_ends_the_session_and_its_sender_is_told() {
    let rig = Rig::new();
    let (mut client, mut server) = session(&rig, (true, true), b"");
    client.write_all(&frame(b"good")).unwrap();
    assert_eq!(read_exactly(&mut *server, 8), frame(b"good"));
    let forged = [[23, 3, 3, 0, 40].as_slice(), &[7; 40]].concat();
    client.socket().write_all(&forged).unwrap();
    let told = client.read(&mut [0; 9]).unwrap_err().to_string();
    assert!(told.contains("BadRecordMac"), "{told}");
    let end = rig.end().1.end;
    assert!(matches!(end, End::Failed(Side::Client, _)), "{end:?}");
}

#[test]
fn bulk_arrives_whole_through_channels() {
    for secure in MIXES {
        let rig = Rig::new();
        let (client, server) = session(&rig, secure, b"");
        // A peer is in one thread, so that one direction comes after the other.
        let (request, reply) = (frame(&pattern(3_000_000)), pattern(8_000_001));
        thread::scope(|scope| {
            let (request, reply) = (&request, &reply);
            scope.spawn(move || {
                let mut client = client;
                client.write_all(request).unwrap();
                assert!(slowly(&mut *client, reply.len()) == *reply);
            });
            scope.spawn(move || {
                let mut server = server;
                assert!(slowly(&mut *server, request.len()) == *request);
                server.write_all(reply).unwrap();
                server.flush().unwrap();
                server.finish();
            });
        });
    }
}

#[test]
fn new_keys_that_a_peer_asks_for_are_given_between_its_bytes() {
    let rig = Rig::new();
    let (mut client, leg) = secure_pair(as_server(), as_client());
    let (mut server, server_leg) = connected();
    rig.adopt(1, leg, server_leg.into(), b"");
    for _ in 0..100 {
        client.connection.refresh_traffic_keys().unwrap();
        client.write_all(&frame(b"ping")).unwrap();
        assert_eq!(read_exactly(&mut server, 8), frame(b"ping"));
        server.write_all(b"pong").unwrap();
        assert_eq!(read_exactly(&mut client, 4), b"pong");
    }
}

#[test]
fn what_a_client_with_a_channel_does_not_take_is_not_read() {
    let rig = Rig::new();
    let (mut client, leg) = secure_pair(as_server(), as_client());
    let (mut server, server_leg) = connected();
    rig.adopt(1, leg, server_leg.into(), b"");
    for stream in [&client.socket, &server] {
        SockRef::from(stream)
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
            Err(_) => break,
        }
    }
    assert!(
        accepted < 64 << 20,
        "{accepted} bytes were taken for a client that reads nothing"
    );
    drop(server);
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), accepted);
    assert!(
        received
            .chunks(block.len())
            .all(|chunk| *chunk == block[..chunk.len()])
    );
}

#[test]
fn what_came_along_with_the_handshake_is_passed_on() {
    let rig = Rig::new();
    let (outer, mut inner) = connected();
    let ClientSide {
        mut stream,
        mut ours,
    } = shaken_but_for_the_last_word(outer, &mut inner);
    // The end of the handshake and the first request lie in one piece in the socket.
    stream.conn.writer().write_all(&frame(b"at once")).unwrap();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut stream.sock).unwrap();
    }
    while ours.is_handshaking() || ours.wants_write() {
        ours.complete_io(&mut inner).unwrap();
    }
    let (mut server, server_leg) = connected();
    rig.adopt(
        1,
        Leg::secure(inner, TlsChannel::new(ours)),
        server_leg.into(),
        b"",
    );
    assert_eq!(read_exactly(&mut server, 11), frame(b"at once"));
}

struct ClientSide {
    stream: StreamOwned<ClientConnection, TcpStream>,
    ours: ServerConnection,
}

/// A handshake in which the client knows everything and has only to send its last words.
fn shaken_but_for_the_last_word(outer: TcpStream, inner: &mut TcpStream) -> ClientSide {
    let Connection::Client(connection) = as_client() else {
        panic!("not a client");
    };
    let Connection::Server(mut ours) = as_server() else {
        panic!("not a server");
    };
    let mut stream = StreamOwned::new(connection, outer);
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut stream.sock).unwrap();
    }
    ours.read_tls(inner).unwrap();
    ours.process_new_packets().unwrap();
    while ours.wants_write() {
        ours.write_tls(inner).unwrap();
    }
    while stream.conn.is_handshaking() {
        stream.conn.read_tls(&mut stream.sock).unwrap();
        stream.conn.process_new_packets().unwrap();
    }
    ClientSide { stream, ours }
}

#[test]
fn a_record_has_bytes_of_one_frame_only() {
    for secure in [(true, true), (false, true)] {
        let rig = Rig::new();
        let (mut client, server) = session(&rig, secure, b"");
        let frames: Vec<Vec<u8>> = (1..=9).map(|len| frame(&pattern(len * 1000))).collect();
        client.write_all(&frames.concat()).unwrap();
        for frame in &frames {
            // A frame that arrived in parts may be passed on in as many records.
            let mut left = frame.len();
            while left > 0 {
                let head = read_exactly(&mut server.socket(), 5);
                let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
                // The kind of the record and a checksum come on top of what is inside (RFC 8446, 5.2).
                let inside = length - 1 - 16;
                assert!(inside <= left, "{inside} bytes where {left} end the frame");
                left -= inside;
                read_exactly(&mut server.socket(), length);
            }
        }
    }
}
