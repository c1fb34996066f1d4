//! Descriptors that go along with frames.

use super::*;

/// Sends bytes and descriptors together.
pub(super) fn send_with(socket: &UnixStream, bytes: &[u8], descriptors: &[&OwnedFd]) {
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
pub(super) fn numbered(number: u32) -> OwnedFd {
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
pub(super) fn expect_frame(socket: &UnixStream, what: u8, body: &[u8], numbers: &[u32]) {
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
