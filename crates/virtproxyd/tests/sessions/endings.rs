//! How sessions end: a daemon that goes away, a client that is killed.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};
use testbed::{Ending, PATIENCE, VirtWire, eventually};
use virt_proto::{Call, GetUri, Open, OpenFlags, Serial};

use crate::house::{House, QEMU, TEST, script, start_until, virtproxyd};

#[test]
fn clients_of_a_daemon_that_is_started_again_end_and_new_ones_are_served() -> Result<()> {
    let mut house = House::open()?;
    let mut wires = Vec::new();
    for uri in [TEST, QEMU, TEST] {
        let mut wire = house.proxied().wire()?;
        wire.open(uri, OpenFlags::default())?;
        wires.push(wire);
    }
    let real = start_until(&script("closed.py", &house.proxied().uri(QEMU)), "open")?;
    house.libvirtd.restart()?;
    for mut wire in wires {
        let (rest, ending) = wire.receive_to_end()?;
        ensure!(
            rest.is_empty() && ending == Ending::Closed,
            "{rest:?} {ending:?}"
        );
    }
    let said = real.finish()?.succeeded()?;
    ensure!(said.contains("closed"), "{said}");
    house.serves()?;
    house.libvirtd.kill();
    house.libvirtd.restart()?;
    house.is_in_order()
}

#[test]
fn a_client_that_is_killed_in_mid_stream_leaves_nothing() -> Result<()> {
    let house = House::open()?;
    let pool = house.libvirtd.folder().join("pool");
    fs::create_dir(&pool)?;
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
    door.do_virsh(QEMU, &["vol-create-as", "pool", "volume", "1G"])?;
    house.survives(|| {
        for way in ["up", "down"] {
            let client = script("stream.py", &door.uri(QEMU)).args(["volume", way]);
            let mut running = start_until(&client, "moving")?;
            running.process().kill();
        }
        Ok(())
    })
}

#[test]
fn a_client_that_leaves_frees_its_daemon_at_once() -> Result<()> {
    let house = House::open()?;
    for uri in [TEST, QEMU] {
        house.survives(|| {
            let mut wire = house.proxied().wire()?;
            wire.open(uri, OpenFlags::default())
        })?;
    }
    Ok(())
}

#[test]
fn a_client_that_does_not_wait_for_its_daemon_frees_it_at_once() -> Result<()> {
    let proxy = virtproxyd()
        .config("listen_tcp = 1\nauth_tcp = \"none\"")
        .start()?;
    let daemon = UnixListener::bind(proxy.daemons().join("virttestd-sock"))?;
    let at_rest = proxy.descriptors()?;
    for tcp in [false, true] {
        for hasty in [false, true] {
            let mut wire = match tcp {
                true => VirtWire::tcp(proxy.tcp_port())?,
                false => VirtWire::unix(&proxy.socket())?,
            };
            let name = Some(TEST.to_owned());
            let flags = OpenFlags::default();
            wire.send(&Open { name, flags }.frame(Serial(1)))?;
            if hasty {
                // It says more before it has an answer.
                wire.send(&GetUri.frame(Serial(2)))?;
            }
            // This one never answers.
            let (mut stream, _) = daemon.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut asked = [0; 28];
            stream.read_exact(&mut asked)?;
            drop(wire);
            ensure!(
                stream.read(&mut asked)? == 0,
                "it is asked {asked:?} for nobody (tcp: {tcp}, hasty: {hasty})"
            );
        }
    }
    proxy.await_descriptors(at_rest)
}

#[test]
fn a_daemon_that_is_killed_in_mid_stream_ends_the_stream() -> Result<()> {
    let mut house = House::open()?;
    let pool = house.libvirtd.folder().join("pool");
    fs::create_dir(&pool)?;
    let door = house.proxied();
    let target = pool.to_string_lossy();
    door.do_virsh(
        QEMU,
        &["pool-create-as", "pool", "dir", "--target", &target],
    )?;
    door.do_virsh(QEMU, &["vol-create-as", "pool", "volume", "1G"])?;
    let client = script("stream.py", &door.uri(QEMU)).args(["volume", "up"]);
    let running = start_until(&client, "moving")?;
    house.libvirtd.kill();
    ensure!(
        !running.finish()?.status.success(),
        "the stream went on without a daemon"
    );
    house.libvirtd.restart()?;
    eventually(PATIENCE, "the next client", || house.serves().is_ok())?;
    house.is_in_order()
}
