//! Frames that libvirt's clients do not send: those of other versions pass, bad ones are the bad
//! client's trouble alone.

use std::fs::File;
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use testbed::{Ending, VirtWire};
use virt_proto::{
    AuthList, Call, GetUri, Header, MessageType, Open, OpenFlags, Procedure, Program, Serial,
    SetIdentity, Status, TypedParam, TypedValue, Uri, keepalive,
};

use crate::house::{Door, House, QEMU, TEST};

/// A procedure that no libvirt has.
const NOSUCH: Procedure = Procedure(60_000);

/// DOMAIN_LOOKUP_BY_NAME, which takes a name.
const LOOKUP: Procedure = Procedure(23);

fn opened(door: &Door) -> Result<VirtWire> {
    let mut wire = door.wire()?;
    wire.open(TEST, OpenFlags::default())?;
    Ok(wire)
}

fn call(procedure: Procedure, serial: u32) -> Header {
    Header::call(Program::REMOTE, procedure, Serial(serial))
}

/// Calls that no libvirt has.
fn from_the_future() -> Vec<(Header, Vec<u8>)> {
    let header = call(NOSUCH, 7);
    vec![
        (header, Vec::new()),
        (header, vec![0xff; 1000]),
        (
            Header {
                procedure: Procedure(0),
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                procedure: Procedure(-5),
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                procedure: Procedure(i32::MAX),
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                program: Program::QEMU,
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                program: Program::LXC,
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                program: Program(0x1234_5678),
                ..header
            },
            vec![1; 12],
        ),
        (
            Header {
                version: 2,
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                status: Status::ERROR,
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                status: Status(77),
                ..header
            },
            Vec::new(),
        ),
        (
            Header {
                procedure: Procedure::CONNECT_GET_URI,
                ..header
            },
            vec![9; 40],
        ),
        (
            Header {
                procedure: LOOKUP,
                ..header
            },
            vec![0xff; 8],
        ),
    ]
}

#[test]
fn what_no_libvirt_knows_gets_the_daemons_own_answer() -> Result<()> {
    let house = House::open()?;
    for (header, payload) in from_the_future() {
        house
            .same(|door| {
                let mut wire = opened(door)?;
                let answer = wire.ask(&header, &payload)?;
                ensure!(
                    wire.call(&GetUri)? == Ok(Uri(TEST.into())),
                    "the connection is dead"
                );
                Ok(answer.bytes())
            })
            .with_context(|| format!("{header:?}"))?;
    }
    house.is_in_order()
}

#[test]
fn before_the_open_the_answer_is_the_same_too() -> Result<()> {
    let house = House::open()?;
    // What single drivers have, and what belongs into a call, is known to their daemons only.
    let known_to_all = |header: &Header| {
        ![Program::QEMU, Program::LXC].contains(&header.program) && header.procedure != LOOKUP
    };
    let calls = from_the_future().into_iter();
    for (header, payload) in calls.filter(|(header, _)| known_to_all(header)) {
        house
            .same(|door| {
                let mut wire = door.wire()?;
                wire.call(&AuthList)?
                    .map_err(|error| anyhow::anyhow!("{error:?}"))?;
                let answer = wire.ask(&header, &payload)?;
                wire.open(TEST, OpenFlags::default())?;
                Ok(answer
                    .outcome::<()>()?
                    .err()
                    .map(|error| (error.number, error.message)))
            })
            .with_context(|| format!("{header:?}"))?;
    }
    house.is_in_order()
}

#[test]
fn any_serial_is_legal() -> Result<()> {
    let house = House::open()?;
    let mut wire = opened(&house.proxied())?;
    for serial in [0, u32::MAX, 5, 5, 1, i32::MAX as u32, 0x8000_0000] {
        let answer = wire.ask(&GetUri::header(Serial(serial)), &[])?;
        ensure!(answer.header.serial == Serial(serial), "{answer:?}");
    }
    let pipelined: Vec<u8> = (0..200).flat_map(|_| GetUri.frame(Serial(9))).collect();
    wire.send(&pipelined)?;
    for _ in 0..200 {
        ensure!(
            wire.receive()?.outcome::<Uri>()? == Ok(Uri(TEST.into())),
            "a wrong answer"
        );
    }
    drop(wire);
    house.is_in_order()
}

#[test]
fn frames_may_come_in_single_bytes() -> Result<()> {
    let house = House::open()?;
    let mut wire = house.proxied().wire()?;
    let open = Open {
        name: Some(TEST.into()),
        flags: OpenFlags::default(),
    };
    for frame in [
        AuthList.frame(Serial(0)),
        open.frame(Serial(1)),
        GetUri.frame(Serial(2)),
    ] {
        for byte in frame {
            wire.send(&[byte])?;
        }
        let answer = wire.receive()?;
        ensure!(answer.header.status == Status::OK, "{answer:?}");
    }
    drop(wire);
    house.is_in_order()
}

/// A claim that libvirtd takes from whoever makes it.
fn claim() -> SetIdentity {
    SetIdentity {
        params: vec![TypedParam::new(
            "user-name",
            TypedValue::String("root".into()),
        )],
        flags: 0,
    }
}

#[test]
fn any_serial_is_legal_before_the_open_too() -> Result<()> {
    let house = House::open()?;
    house.same(|door| {
        let mut wire = door.wire()?;
        let mut serials = Vec::new();
        for serial in [0, u32::MAX, u32::MAX, 0] {
            serials.push(wire.ask(&AuthList::header(Serial(serial)), &[])?.header);
            let refused = wire.ask(&GetUri::header(Serial(serial)), &[])?;
            ensure!(refused.header.status == Status::ERROR, "{refused:?}");
            serials.push(refused.header);
        }
        let open = |name: &str, serial| {
            let name = Some(name.to_owned());
            let flags = OpenFlags::default();
            Open { name, flags }.frame(Serial(serial))
        };
        // What the proxy asks the daemon meanwhile has serials of its own.
        for (name, serial) in [("test:///nosuch", 0), ("test:///nosuch", 2), (TEST, 1)] {
            wire.send(&open(name, serial))?;
            serials.push(wire.receive()?.header);
        }
        serials.push(wire.ask(&GetUri::header(Serial(1)), &[])?.header);
        Ok(serials)
    })?;
    house.is_in_order()
}

#[test]
fn pings_are_answered_before_and_after_the_open() -> Result<()> {
    let house = House::open()?;
    let ping = keepalive::header(keepalive::PING).frame(&());
    let answers = house.same(|door| {
        let mut wire = door.wire()?;
        let mut answers = Vec::new();
        for _ in 0..3 {
            wire.send(&ping)?;
            answers.push(wire.receive()?.bytes());
        }
        wire.open(TEST, OpenFlags::default())?;
        for _ in 0..3 {
            wire.send(&ping)?;
            answers.push(wire.receive()?.bytes());
        }
        ensure!(wire.call(&GetUri)?.is_ok(), "the connection is dead");
        Ok(answers)
    })?;
    ensure!(
        answers[0] == keepalive::header(keepalive::PONG).frame(&()),
        "{answers:?}"
    );
    house.is_in_order()
}

#[test]
fn no_client_may_claim_an_identity() -> Result<()> {
    let house = House::open()?;
    let root = claim();
    // libvirtd would believe it.
    let believed = opened(&house.direct())?.call(&root)?;
    ensure!(believed.is_ok(), "{believed:?}");
    let door = house.proxied();
    for socket in [&door.socket, &door.socket_ro] {
        let mut wire = VirtWire::unix(socket)?;
        ensure!(wire.call(&root)?.is_err(), "claimed before the open");
        wire.open(TEST, OpenFlags::default())?;
        let error = wire.call(&root)?.err().context("claimed")?;
        let text = error.message.unwrap_or_default();
        ensure!(
            text.contains("virtproxyd"),
            "answered by the daemon: {text}"
        );
        // One whose arguments make no sense is not the daemon's to look at either.
        let header = SetIdentity::header(Serial(0));
        let refused = wire.ask(&header, &[0xff; 20])?.outcome::<()>()?;
        ensure!(refused.is_err(), "claimed with nonsense");
        ensure!(
            wire.call(&GetUri)? == Ok(Uri(TEST.into())),
            "the connection is dead"
        );
    }
    house.is_in_order()
}

/// libvirtd takes the bytes behind a client's "answer" for the next frame, whatever number of
/// descriptors stands in it. Here that is one of a stream, which nobody minds, with the head of the
/// frame after it inside: what is in that one comes out whole.
#[test]
fn no_claim_hides_behind_the_descriptors_of_an_answer() -> Result<()> {
    let house = House::open()?;
    let stream = Header {
        message_type: MessageType::STREAM,
        status: Status::CONTINUE,
        ..call(LOOKUP, 1)
    };
    let answer = Header {
        message_type: MessageType::REPLY_WITH_FDS,
        ..call(NOSUCH, 2)
    };
    let inner = stream.frame_around(&[0; 28])[..28].to_vec();
    let claim = claim().frame(Serial(3));
    let file = File::open("/dev/null")?;
    let claimed = |door: &Door| {
        let mut wire = opened(door)?;
        let count = u32::try_from(inner.len())?;
        wire.send(&answer.frame_around(&count.to_be_bytes()))?;
        for byte in &inner {
            wire.send_with_fd(*byte, file.as_fd())?;
        }
        wire.send(&stream.frame_around(&claim))?;
        let answer = wire.receive()?;
        ensure!(answer.header.serial == Serial(3), "{answer:?}");
        Ok(answer.header.status == Status::OK)
    };
    ensure!(claimed(&house.direct())?, "libvirtd reads it otherwise");
    ensure!(!claimed(&house.proxied())?, "an identity was claimed");
    house.is_in_order()
}

/// A frame whose length field says something else.
fn with_length(len: u32) -> Vec<u8> {
    let mut frame = call(Procedure::CONNECT_GET_URI, 1).frame(&());
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// A call that says that descriptors come with it.
fn with_fds(count: u32) -> Vec<u8> {
    let message_type = MessageType::CALL_WITH_FDS;
    let mut frame = Header {
        message_type,
        ..call(Procedure(321), 1)
    }
    .frame(&());
    frame.extend(count.to_be_bytes());
    let len = u32::try_from(frame.len()).unwrap_or_default();
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// What no good client sends, and whether libvirtd ends the connection for it.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let uri = call(Procedure::CONNECT_GET_URI, 1);
    let typed = |message_type| {
        Header {
            message_type,
            ..uri
        }
        .frame(&())
    };
    vec![
        ("no length", with_length(0)),
        ("a length below a head", with_length(27)),
        ("a length over the limit", with_length(33_554_437)),
        ("the greatest length", with_length(u32::MAX)),
        ("half a head", with_length(28)[..11].to_vec()),
        ("half a length", vec![0, 0]),
        ("half a payload", with_length(4000)),
        ("a long frame that never comes", with_length(30 << 20)),
        ("a reply", typed(MessageType::REPLY)),
        ("a message", typed(MessageType::MESSAGE)),
        ("an unknown type", typed(MessageType(99))),
        ("data of no stream", typed(MessageType::STREAM)),
        ("a hole in no stream", typed(MessageType::STREAM_HOLE)),
        (
            "a reply with descriptors",
            typed(MessageType::REPLY_WITH_FDS),
        ),
        ("too many descriptors", with_fds(33)),
        ("countless descriptors", with_fds(u32::MAX)),
        ("a descriptor that never comes", with_fds(1)),
        (
            "a byte without its descriptor",
            [with_fds(1), vec![0; 40]].concat(),
        ),
        (
            "no number of descriptors",
            typed(MessageType::CALL_WITH_FDS),
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        (
            "TLS",
            [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 600]].concat(),
        ),
        ("zeros", vec![0; 5000]),
    ]
}

#[test]
fn malformed_frames_are_their_senders_trouble_before_the_open() -> Result<()> {
    let house = House::open()?;
    for (name, bytes) in malformed() {
        house
            .survives(|| {
                let mut wire = house.proxied().wire()?;
                ends_with(&mut wire, &bytes)
            })
            .with_context(|| name)?;
    }
    Ok(())
}

#[test]
fn malformed_frames_are_their_senders_trouble_after_the_open() -> Result<()> {
    let house = House::open()?;
    for (name, bytes) in malformed() {
        house
            .survives(|| {
                let mut wire = opened(&house.proxied())?;
                ends_with(&mut wire, &bytes)
            })
            .with_context(|| name)?;
    }
    Ok(())
}

/// Sends, and has no more to say: then the other side must end the connection too.
fn ends_with(wire: &mut VirtWire, bytes: &[u8]) -> Result<()> {
    // The connection may have ended over the first of them.
    let _ = wire.send(bytes).and_then(|()| wire.finish_sending());
    wire.receive_to_end().map(drop)
}

#[test]
fn a_length_that_cannot_be_ends_the_connection_at_once() -> Result<()> {
    let house = House::open()?;
    for len in [0, 27, 33_554_437, u32::MAX] {
        for open in [false, true] {
            let door = house.proxied();
            let mut wire = if open { opened(&door)? } else { door.wire()? };
            wire.send(&with_length(len))?;
            let (rest, _) = wire
                .receive_to_end()
                .with_context(|| format!("{len} {open}"))?;
            ensure!(rest.is_empty(), "{rest:?}");
        }
    }
    house.is_in_order()
}

#[test]
fn descriptors_that_nobody_asked_for_go_nowhere() -> Result<()> {
    let house = House::open()?;
    let file = File::open("/dev/null")?;
    house.survives(|| {
        // A plain call, beside which a descriptor comes, and one that announces it.
        for frame in [call(Procedure::CONNECT_GET_URI, 1).frame(&()), with_fds(1)] {
            let mut wire = house.proxied().wire()?;
            wire.open(QEMU, OpenFlags::default())?;
            wire.send(&frame)?;
            wire.send_fd(file.as_fd())?;
            wire.finish_sending()?;
            wire.receive_to_end()?;
        }
        Ok(())
    })
}

#[test]
fn a_close_is_answered_and_ends_the_connection() -> Result<()> {
    let house = House::open()?;
    let ended = house.same(|door| {
        let mut wire = opened(door)?;
        wire.call(&virt_proto::Close)?
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        wire.receive_to_end()
    })?;
    ensure!(ended == (Vec::new(), Ending::Closed), "{ended:?}");
    // libvirtd 9.0 refuses it before the open.
    let mut wire = house.proxied().wire()?;
    wire.call(&AuthList)?
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    wire.call(&virt_proto::Close)?.ok();
    let ended = wire.receive_to_end()?;
    ensure!(ended == (Vec::new(), Ending::Closed), "{ended:?}");
    house.is_in_order()
}
