use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};
use virt_proto::{Call, MessageType, Open, OpenFlags, Serial};

/// What comes out of a stream that is fed in pieces of `cut` bytes.
fn read_all(stream: &[u8], cut: usize) -> (Vec<Frame>, Result<(), FrameError>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = duplex(cut);
        let feed = async move {
            far.write_all(stream).await.ok();
        };
        let read = async move {
            let mut reader = FrameReader::new(FrameLimit::CURRENT);
            let mut frames = Vec::new();
            loop {
                match reader.next(&mut near).await {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => return (frames, Ok(())),
                    Err(error) => return (frames, Err(error)),
                }
            }
        };
        tokio::join!(feed, read).1
    })
}

fn open(uri: &str, serial: u32) -> Vec<u8> {
    let open = Open {
        name: Some(uri.into()),
        flags: OpenFlags(0),
    };
    open.frame(Serial(serial))
}

#[test]
fn a_payload_that_is_too_long_is_not_kept_but_the_next_frame_is_found() {
    let long = open(&"x".repeat(10 * KEPT), 1);
    let stream = [long, open("test:///default", 2)].concat();
    let (frames, end) = read_all(&stream, 4096);
    assert!(end.is_ok());
    let kept: Vec<_> = frames
        .iter()
        .map(|frame| (frame.header.serial.0, frame.payload.is_some()))
        .collect();
    assert_eq!(kept, [(1, false), (2, true)]);
}

#[test]
fn the_bytes_of_descriptors_are_skipped() {
    let mut with_fds = Header::call(Program::REMOTE, Procedure(222), Serial(7));
    with_fds.message_type = MessageType::CALL_WITH_FDS;
    let mut stream = vec![0, 0, 0, 32];
    stream.extend_from_slice(&with_fds.frame(&())[4..]);
    stream.extend_from_slice(&[0, 0, 0, 3, 0, 0, 0]);
    stream.extend(open("test:///default", 8));
    for cut in [1, 3, 1000] {
        let (frames, end) = read_all(&stream, cut);
        assert!(end.is_ok(), "{end:?}");
        let serials: Vec<_> = frames.iter().map(|frame| frame.header.serial.0).collect();
        assert_eq!(serials, [7, 8]);
    }
}

#[test]
fn impossible_frames_are_errors() {
    let cases: [(&[u8], &str); 4] = [
        (&[0; 28], "shorter than the head"),
        (&[0x7f; 28], "over the limit"),
        (&[0, 0, 0, 60], "inside a frame"),
        (&open("x", 1)[..30], "inside a frame"),
    ];
    for (stream, expected) in cases {
        let (frames, end) = read_all(stream, 1000);
        let error = end.unwrap_err().to_string();
        assert!(frames.is_empty() && error.contains(expected), "{error}");
    }
    let mut too_many = Header::call(Program::REMOTE, Procedure(222), Serial(7));
    too_many.message_type = MessageType::CALL_WITH_FDS;
    let mut stream = vec![0, 0, 0, 32];
    stream.extend_from_slice(&too_many.frame(&())[4..]);
    stream.extend_from_slice(&[0, 0, 0, 33]);
    let error = read_all(&stream, 1000).1.unwrap_err();
    assert!(matches!(error, FrameError::Descriptors(_)), "{error}");
}

#[test]
fn no_byte_behind_a_head_is_read_while_only_the_head_is_awaited() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = duplex(1000);
        let frame = open("test:///default", 3);
        far.write_all(&frame).await.unwrap();
        let mut reader = FrameReader::new(FrameLimit::CURRENT);
        let head = reader.head(&mut near).await.unwrap().unwrap();
        assert_eq!(head.header.serial, Serial(3));
        assert_eq!(reader.into_early(), frame[..FrameHead::SIZE]);
        let mut rest = vec![0; frame.len() - FrameHead::SIZE];
        near.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, frame[FrameHead::SIZE..]);
    });
}

proptest! {
    #[test]
    fn frames_come_out_whole_however_they_are_cut(
        uris in prop::collection::vec("[a-z:/]{0,300}", 1..8),
        cut in 1usize..700,
    ) {
        let stream: Vec<u8> = uris.iter().flat_map(|uri| open(uri, 1)).collect();
        let (frames, end) = read_all(&stream, cut);
        prop_assert!(end.is_ok());
        let again: Vec<u8> = frames
            .iter()
            .flat_map(|frame| {
                let payload = frame.payload.clone().unwrap();
                frame.header.frame_around(&payload)
            })
            .collect();
        prop_assert_eq!(again, stream);
    }
}

#[test]
fn a_long_step_of_sasl_is_kept_only_where_one_is_awaited() {
    let step = Header::call(Program::REMOTE, Procedure::AUTH_SASL_STEP, Serial(1));
    let frame = step.frame_around(&vec![7; KEPT + 1]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for awaits in [false, true] {
        let mut reader = FrameReader::new(FrameLimit::CURRENT);
        reader.await_sasl(awaits);
        let read = runtime.block_on(reader.next(&mut &frame[..]));
        assert_eq!(read.unwrap().unwrap().payload.is_some(), awaits);
    }
}
