//! Frames that are swallowed, answered and announced.

use super::*;

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
