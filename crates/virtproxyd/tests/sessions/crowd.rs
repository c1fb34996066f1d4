//! Many clients at once.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use testbed::virsh;
use virt_proto::{GetUri, OpenFlags, Uri};

use crate::house::{House, TEST};

const CROWD: usize = 50;

#[test]
fn fifty_clients_are_served_at_once() -> Result<()> {
    let house = House::open()?;
    let door = house.proxied();
    let mut wires = Vec::new();
    for _ in 0..CROWD {
        let mut wire = door.wire()?;
        wire.open(TEST, OpenFlags::default())?;
        wires.push(wire);
    }
    thread::scope(|scope| {
        let each = wires.iter_mut().map(|wire| {
            scope.spawn(move || -> Result<()> {
                for _ in 0..100 {
                    ensure!(
                        wire.call(&GetUri)? == Ok(Uri(TEST.into())),
                        "a wrong answer"
                    );
                }
                Ok(())
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| panic!("a client")))
    })?;
    drop(wires);
    house.is_in_order()
}

#[test]
fn fifty_real_clients_are_served_at_once() -> Result<()> {
    let house = House::open()?;
    let client = virsh(&house.proxied().uri(TEST)).args(["dominfo", "test"]);
    let client = client.within(Duration::from_secs(120));
    let crowd = (0..CROWD)
        .map(|_| client.start())
        .collect::<Result<Vec<_>>>()?;
    for one in crowd {
        let said = one.finish()?.succeeded()?;
        ensure!(said.contains("running"), "{said}");
    }
    house.is_in_order()
}
