//! Real guests: what is done to them, what they say, and what they let clients have.

use anyhow::{Result, ensure};

use crate::house::{Door, House, QEMU, script, start_until};

/// A house in which a guest of this name runs.
fn house_with_guest(name: &str) -> Result<House> {
    let mut house = House::open()?;
    let xml = house.libvirtd.guest(name)?;
    let door = house.direct();
    door.do_virsh(QEMU, &["create", &xml.to_string_lossy()])?;
    house.settle()?;
    Ok(house)
}

#[test]
fn a_guest_is_defined_and_started_and_ended() -> Result<()> {
    let house = House::open()?;
    let xml = house.libvirtd.guest("echo")?;
    let said = house.same(|door| {
        let mut said = Vec::new();
        for words in [
            &["define", &*xml.to_string_lossy()][..],
            &["start", "echo"],
            &["start", "echo"],
            &["domstate", "echo"],
            &["suspend", "echo"],
            &["domstate", "echo", "--reason"],
            &["resume", "echo"],
            &["qemu-monitor-command", "echo", "--hmp", "info status"],
            &["send-key", "echo", "KEY_A"],
            &["reset", "echo"],
            &["destroy", "echo"],
            &["domstate", "echo"],
            &["undefine", "echo"],
            &["domstate", "echo"],
        ] {
            said.push(door.virsh(QEMU, words)?);
        }
        Ok(said)
    })?;
    ensure!(said[3].stdout.trim() == "running", "{said:?}");
    ensure!(said[7].stdout.contains("running"), "{said:?}");
    house.is_in_order()
}

#[test]
fn events_reach_all_who_listen() -> Result<()> {
    let house = House::open()?;
    let xml = house.libvirtd.guest("echo")?;
    let listen = |door: &Door| start_until(&script("events.py", &door.uri(QEMU)), "listening");
    let mut listeners = vec![listen(&house.direct())?];
    for _ in 0..4 {
        listeners.push(listen(&house.proxied())?);
    }
    let door = house.proxied();
    for words in [
        &["define", &*xml.to_string_lossy()][..],
        &["start", "echo"],
        &["suspend", "echo"],
        &["resume", "echo"],
        &["destroy", "echo"],
        &["undefine", "echo"],
    ] {
        door.do_virsh(QEMU, words)?;
    }
    let heard = listeners
        .into_iter()
        .map(|listener| listener.finish()?.succeeded())
        .collect::<Result<Vec<_>>>()?;
    ensure!(heard[0].lines().count() > 6, "{heard:?}");
    ensure!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
    house.is_in_order()
}

#[test]
fn a_console_carries_bytes_both_ways() -> Result<()> {
    let house = house_with_guest("echo")?;
    let echoed = house.same(|door| {
        script("console.py", &door.uri(QEMU))
            .args(["echo"])
            .run()?
            .succeeded()
    })?;
    ensure!(echoed.contains("echoed 4096 bytes"), "{echoed}");
    house.is_in_order()
}

#[test]
fn descriptors_are_passed_both_ways() -> Result<()> {
    let house = house_with_guest("echo")?;
    let greeted = house.same(|door| {
        script("graphics.py", &door.uri(QEMU))
            .args(["echo"])
            .run()?
            .succeeded()
    })?;
    ensure!(
        greeted == "got RFB 003.008\ngave RFB 003.008\n".repeat(20),
        "{greeted}"
    );
    house.is_in_order()
}

#[test]
fn a_console_taken_by_force_goes_to_the_second_client() -> Result<()> {
    let house = house_with_guest("echo")?;
    house.same(|door| {
        let uri = door.uri(QEMU);
        let first = start_until(
            &script("console.py", &uri).args(["echo", "hold"]),
            "holding",
        )?;
        let second = script("console.py", &uri)
            .args(["echo", "force"])
            .run()?
            .succeeded()?;
        ensure!(second.contains("echoed 4096 bytes"), "{second}");
        first.finish()?.succeeded()
    })?;
    house.is_in_order()
}
