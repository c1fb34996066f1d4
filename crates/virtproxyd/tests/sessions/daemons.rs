//! Daemons that no Debian package has: old ones, and such that do not behave. Each is a few lines
//! that play a part; what real ones do is in the other files.

use std::sync::mpsc::channel;

use anyhow::{Context, Result, ensure};
use testbed::{VirtFrame, VirtStub, VirtWire, Virtproxyd};
use virt_proto::{
    AuthList, AuthType, AuthTypes, Call, ErrorNumber, GetUri, Open, OpenFlags, Payload,
    PolkitReply, Procedure, Serial, SetIdentity, TypedValue, Uri, keepalive,
};

use crate::house::virtproxyd;

/// What a daemon does with a call; `false` ends the connection.
type Part = fn(&mut VirtWire, &VirtFrame) -> Result<bool>;

/// Starts virtproxyd with a daemon for `odd:///x` behind it.
fn behind(part: Part) -> Result<(Virtproxyd, VirtStub)> {
    let proxy = virtproxyd().start()?;
    let daemon = VirtStub::start(&proxy.daemons().join("virtoddd-sock"), part)?;
    Ok((proxy, daemon))
}

/// A daemon that does what it is told.
fn good(wire: &mut VirtWire, call: &VirtFrame) -> Result<bool> {
    match call.header.procedure {
        Procedure::CONNECT_GET_URI => reply(wire, call, &Uri("odd:///x".into())),
        _ => VirtStub::obey(wire, call),
    }
}

fn reply(wire: &mut VirtWire, call: &VirtFrame, payload: &impl Payload) -> Result<bool> {
    VirtStub::reply(wire, call, payload)
}

fn refuse(wire: &mut VirtWire, call: &VirtFrame, number: ErrorNumber) -> Result<bool> {
    VirtStub::refuse(wire, call, number)
}

/// Opens `odd:///x` as a client: the refusal's text, if it is refused.
fn open(proxy: &Virtproxyd) -> Result<Option<String>> {
    let mut wire = VirtWire::unix(&proxy.socket())?;
    wire.call(&AuthList)?.ok().context("no list")?;
    let open = Open {
        name: Some("odd:///x".into()),
        flags: OpenFlags::NO_ALIASES,
    };
    if let Err(error) = wire.call(&open)? {
        // The client may try again, and is still there.
        ensure!(wire.call(&open)?.is_err(), "it was opened the second time");
        return Ok(Some(error.message.unwrap_or_default()));
    }
    let uri = wire.call(&GetUri)?;
    ensure!(uri == Ok(Uri("odd:///x".into())), "{uri:?}");
    Ok(None)
}

#[test]
fn a_daemon_hears_the_clients_flags_and_identity_before_any_call_of_its() -> Result<()> {
    let (proxy, daemon) = behind(good)?;
    ensure!(open(&proxy)?.is_none(), "refused");
    let calls = (0..4)
        .map(|_| daemon.next_call())
        .collect::<Result<Vec<_>>>()?;
    let procedures: Vec<_> = calls.iter().map(|call| call.header.procedure).collect();
    let expected = [
        Procedure::AUTH_LIST,
        Procedure::CONNECT_OPEN,
        Procedure::CONNECT_SET_IDENTITY,
        Procedure::CONNECT_GET_URI,
    ];
    ensure!(procedures == expected, "{procedures:?}");
    let opened = Open::decode(&calls[1].payload)?;
    ensure!(opened.flags == OpenFlags::NO_ALIASES, "{opened:?}");
    let told = SetIdentity::decode(&calls[2].payload)?.params;
    let pid = TypedValue::Llong(std::process::id().into());
    for (name, value) in [
        ("user-name", TypedValue::String("root".into())),
        ("unix-user-id", TypedValue::Ullong(0)),
        ("process-id", pid),
    ] {
        let found = told.iter().find(|param| param.field == name);
        ensure!(found.is_some_and(|param| param.value == value), "{told:?}");
    }
    Ok(())
}

#[test]
fn a_daemon_that_cannot_be_told_who_a_client_is_serves_it_and_the_log_tells() -> Result<()> {
    for number in [ErrorNumber::NO_SUPPORT, ErrorNumber::RPC] {
        let old: Part = match number {
            ErrorNumber::RPC => |wire, call| match call.header.procedure {
                Procedure::CONNECT_SET_IDENTITY => refuse(wire, call, ErrorNumber::RPC),
                _ => good(wire, call),
            },
            _ => |wire, call| match call.header.procedure {
                Procedure::CONNECT_SET_IDENTITY => refuse(wire, call, ErrorNumber::NO_SUPPORT),
                _ => good(wire, call),
            },
        };
        let (proxy, _daemon) = behind(old)?;
        ensure!(open(&proxy)?.is_none(), "refused");
        proxy.await_log("cannot be told who a client is")?;
    }
    Ok(())
}

#[test]
fn a_daemon_may_ping_and_ask_for_polkit() -> Result<()> {
    let (proxy, daemon) = behind(|wire, call| {
        wire.send(&keepalive::header(keepalive::PING).frame(&()))?;
        let pong = wire.receive()?.header;
        ensure!(
            keepalive::procedure(pong) == Some(keepalive::PONG),
            "{pong:?}"
        );
        match call.header.procedure {
            Procedure::AUTH_LIST => reply(wire, call, &AuthTypes(vec![AuthType::POLKIT])),
            Procedure::AUTH_POLKIT => reply(wire, call, &PolkitReply { complete: true }),
            _ => good(wire, call),
        }
    })?;
    ensure!(open(&proxy)?.is_none(), "refused");
    daemon.next_call()?;
    let second = daemon.next_call()?.header.procedure;
    ensure!(second == Procedure::AUTH_POLKIT, "{second:?}");
    Ok(())
}

#[test]
fn a_daemon_that_does_not_behave_is_told_of_at_once() -> Result<()> {
    let table: [(Part, &str); 7] = [
        (|_, _| Ok(false), "closed the connection"),
        (
            |wire, _| {
                wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    .map(|()| false)
            },
            "broke the protocol",
        ),
        (
            |wire, call| reply(wire, call, &AuthTypes(vec![AuthType::SASL])),
            "authenticate itself",
        ),
        (
            |wire, call| {
                let frame = call.header.reply().frame_around(&[0xff; 12]);
                wire.send(&frame).map(|()| true)
            },
            "sent a broken answer",
        ),
        (
            |wire, call| {
                let frame = call.header.refusal().frame_around(&[0xff; 12]);
                wire.send(&frame).map(|()| true)
            },
            "sent a broken error",
        ),
        (
            |wire, call| match call.header.procedure {
                Procedure::CONNECT_OPEN => refuse(wire, call, ErrorNumber::RPC),
                _ => good(wire, call),
            },
            "not by this daemon",
        ),
        // Whoever is not known must not pass for somebody else.
        (
            |wire, call| match call.header.procedure {
                Procedure::CONNECT_SET_IDENTITY => refuse(wire, call, ErrorNumber::ACCESS_DENIED),
                _ => good(wire, call),
            },
            "not by this daemon",
        ),
    ];
    for (part, reason) in table {
        let (proxy, _daemon) = behind(part)?;
        let text = open(&proxy)?.with_context(|| format!("{reason}: opened"))?;
        ensure!(text.contains(reason), "{reason}: {text}");
        proxy.await_log(reason)?;
    }
    Ok(())
}

#[test]
fn a_client_that_leaves_before_its_daemon_has_answered_leaves_nothing() -> Result<()> {
    let proxy = virtproxyd().start()?;
    let (note, called) = channel();
    let _daemon = VirtStub::start(&proxy.daemons().join("virtoddd-sock"), move |wire, _| {
        note.send(())?;
        wire.receive().map(|_| true)
    })?;
    let mut wire = VirtWire::unix(&proxy.socket())?;
    wire.call(&AuthList)?.ok().context("no list")?;
    let with_client = proxy.descriptors()?;
    let open = Open {
        name: Some("odd:///x".into()),
        flags: OpenFlags::default(),
    };
    wire.send(&open.frame(Serial(9)))?;
    called.recv()?;
    // Its pings are answered while it waits.
    wire.send(&keepalive::header(keepalive::PING).frame(&()))?;
    let pong = wire.receive()?.header;
    ensure!(
        keepalive::procedure(pong) == Some(keepalive::PONG),
        "{pong:?}"
    );
    drop(wire);
    proxy.await_descriptors(with_client - 1)
}
