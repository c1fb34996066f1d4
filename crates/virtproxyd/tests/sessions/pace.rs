//! Clients that are slow, too fast or dead.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Result, ensure};
use testbed::{Libvirtd, PATIENCE, Process, VirtStub, VirtWire, eventually};
use virt_proto::{
    Call, Feature, GetUri, OpenFlags, Procedure, Program, Serial, Status, Supported,
    SupportsFeature, Uri, keepalive,
};

use crate::house::{House, QEMU, TEST, script, start_until, virtproxyd};

/// How much the proxy may grow behind a client that does not read, in kB.
const GROWTH: u64 = 4 << 10;

/// Waits until a process has used no time for a while: then all that could move has moved.
fn await_rest(process: &Process) -> Result<()> {
    let (mut last, mut calm) = (process.cpu_ticks()?, 0);
    eventually(PATIENCE, "rest", || {
        let now = process.cpu_ticks().unwrap_or_default();
        calm = if now == last { calm + 1 } else { 0 };
        last = now;
        calm >= 50
    })
}

#[test]
fn the_proxy_does_not_grow_behind_a_stream_that_nobody_reads() -> Result<()> {
    let house = House::open()?;
    let pool = house.libvirtd.folder().join("pool");
    fs::create_dir(&pool)?;
    fs::write(pool.join("volume"), vec![7; 64 << 20])?;
    let door = house.proxied();
    door.do_virsh(
        QEMU,
        &[
            "pool-create-as",
            "pool",
            "dir",
            "--target",
            &pool.to_string_lossy(),
        ],
    )?;
    let before = house.proxy.rss_kb()?;
    let client = script("stream.py", &door.uri(QEMU)).args(["volume", "stalled"]);
    let stalled = start_until(&client, "stalled")?;
    await_rest(&house.proxy)?;
    let grown = house.proxy.rss_kb()?.saturating_sub(before);
    ensure!(grown < GROWTH, "the proxy grew by {grown} kB");
    house.serves()?;
    drop(stalled);
    house.is_in_order()
}

#[test]
fn too_many_calls_stop_their_client_and_nobody_else() -> Result<()> {
    const CALLS: u32 = 200;
    let proxy = virtproxyd().config("max_client_requests = 3").start()?;
    let (mut slow, quick) = (Libvirtd::start()?, Libvirtd::start()?);
    slow.link_as(&proxy.daemons(), "qemu")?;
    quick.link_as(&proxy.daemons(), "test")?;
    let mut wire = VirtWire::unix(&proxy.socket())?;
    wire.open(QEMU, OpenFlags::default())?;
    slow.pause()?;
    let before = proxy.rss_kb()?;
    // Calls of 64 KiB that no libvirtd knows: each is answered with an error.
    let mut call =
        virt_proto::Header::call(Program::REMOTE, Procedure(60_000), Serial(1)).frame(&());
    call.resize(64 << 10, 0);
    call[..4].copy_from_slice(&(64u32 << 10).to_be_bytes());
    let mut socket = wire.socket().try_clone()?;
    let sender = thread::spawn(move || (0..CALLS).try_for_each(|_| socket.write_all(&call)));
    await_rest(&proxy)?;
    ensure!(!sender.is_finished(), "all calls were taken");
    let grown = proxy.rss_kb()?.saturating_sub(before);
    ensure!(grown < GROWTH, "the proxy grew by {grown} kB");
    let mut other = VirtWire::unix(&proxy.socket())?;
    other.open(TEST, OpenFlags::default())?;
    ensure!(
        other.call(&GetUri)? == Ok(Uri(TEST.into())),
        "the other client is not served"
    );
    slow.resume()?;
    for _ in 0..CALLS {
        let answer = wire.receive()?;
        ensure!(answer.header.status == Status::ERROR, "{answer:?}");
    }
    ensure!(
        sender.join().is_ok_and(|sent| sent.is_ok()),
        "the calls were not taken"
    );
    ensure!(
        wire.call(&GetUri)? == Ok(Uri(QEMU.into())),
        "the connection is dead"
    );
    Ok(())
}

#[test]
fn a_daemon_never_has_more_calls_of_a_client_than_it_may_make() -> Result<()> {
    const MOST: usize = 3;
    let proxy = virtproxyd().config("max_client_requests = 3").start()?;
    let (lend, borrow) = channel();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    // It keeps all of the client's calls to itself, and the test answers them.
    let daemon = VirtStub::start(&proxy.daemons().join("virtoddd-sock"), move |wire, call| {
        if call.header.procedure == GetUri::PROCEDURE {
            count.fetch_add(1, Ordering::SeqCst);
            return Ok(true);
        }
        lend.send(VirtWire::new(wire.socket().try_clone()?)?)?;
        VirtStub::obey(wire, call)
    })?;
    let mut wire = VirtWire::unix(&proxy.socket())?;
    wire.open("odd:///x", OpenFlags::default())?;
    let mut answers = borrow.recv()?;
    for _ in 0..3 {
        daemon.next_call()?;
    }
    for serial in 0..10 {
        wire.send(&GetUri.frame(Serial(serial)))?;
    }
    for answered in 0..3 {
        eventually(PATIENCE, "the calls that may be made", || {
            heard.load(Ordering::SeqCst) >= answered + MOST
        })?;
        await_rest(&proxy)?;
        let calls = heard.load(Ordering::SeqCst);
        ensure!(
            calls == answered + MOST,
            "{calls} calls, {answered} answers"
        );
        let call = daemon.next_call()?.header;
        answers.send(&call.reply().frame(&Uri(String::new())))?;
        ensure!(wire.receive()?.header == call.reply(), "a wrong answer");
    }
    Ok(())
}

#[test]
fn a_client_that_answers_no_ping_is_dead() -> Result<()> {
    let proxy = virtproxyd().config("keepalive_interval = 1\nkeepalive_count = 2");
    let house = House::open_with(proxy, Libvirtd::builder().config("keepalive_interval = -1"))?;
    let uri = house.proxied().uri(QEMU);
    let mut dead = start_until(&script("closed.py", &uri), "open")?;
    let alive = start_until(&script("closed.py", &uri), "open")?;
    // It never asked for pings, so it gets none and stays.
    let mut silent = house.proxied().wire()?;
    silent.open(TEST, OpenFlags::default())?;
    // One that asks late is pinged too.
    let mut late = house.proxied().wire()?;
    late.open(TEST, OpenFlags::default())?;
    let supported = late.call(&SupportsFeature(Feature::PROGRAM_KEEPALIVE))?;
    ensure!(supported == Ok(Supported(true)), "{supported:?}");
    let with_all = house.proxy.descriptors()?;
    dead.process().pause()?;
    let (pings, _) = late.receive_to_end()?;
    let ping = keepalive::header(keepalive::PING).frame(&());
    ensure!(pings == ping.repeat(2), "{pings:?}");
    // Each has taken its connection to libvirtd along.
    house.proxy.await_descriptors(with_all - 4)?;
    ensure!(
        silent.call(&GetUri)? == Ok(Uri(TEST.into())),
        "the silent one was dropped"
    );
    ensure!(
        !alive.stdout().contains("closed"),
        "the living one was dropped"
    );
    drop((dead, alive, silent));
    house.is_in_order()
}

#[test]
fn a_client_that_says_nothing_holds_up_nobody() -> Result<()> {
    let house = House::open()?;
    let door = house.proxied();
    let silent = (0..30).map(|_| door.wire()).collect::<Result<Vec<_>>>()?;
    let mut halfway = door.wire()?;
    halfway.send(&[0, 0, 0])?;
    house.serves()?;
    drop((silent, halfway));
    house.is_in_order()
}
