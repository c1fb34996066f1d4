//! virsh says the same through the proxy as without it.

use anyhow::{Context, Result, ensure};

use crate::house::{Answer, Door, House, QEMU, TEST};

/// What the test driver is asked, and some that it does not know.
const OF_TEST: &[&str] = &[
    "uri",
    "version",
    "hostname",
    "sysinfo",
    "capabilities",
    "nodeinfo",
    "nodecpumap",
    "freecell --all",
    "maxvcpus",
    "list --all",
    "list --uuid --all",
    "domstate test",
    "domid test",
    "domuuid test",
    "domname 1",
    "domname 77",
    "dumpxml test",
    "vcpuinfo nosuch",
    "vcpucount test",
    "vcpupin test",
    "schedinfo test",
    "memtune test",
    "blkiotune test",
    "domblklist test",
    "domiflist test",
    "domdisplay test",
    "domcontrol test",
    "domjobinfo test",
    "domhostname test",
    "domfsinfo test",
    "guestinfo test",
    "metadata test http://none",
    "snapshot-list test",
    "checkpoint-list test",
    "managedsave-edit test",
    "iothreadinfo test",
    "net-list --all",
    "net-info default",
    "net-dumpxml default",
    "net-uuid default",
    "net-dhcp-leases default",
    "net-info nosuch",
    "net-port-list default",
    "pool-list --all",
    "pool-info default-pool",
    "pool-dumpxml default-pool",
    "pool-info nosuch",
    "vol-list default-pool",
    "find-storage-pool-sources logical",
    "iface-list --all",
    "iface-dumpxml eth1",
    "iface-mac eth1",
    "iface-dumpxml nosuch",
    "nodedev-list",
    "nodedev-dumpxml computer",
    "nodedev-dumpxml nosuch",
    "secret-list",
    "nwfilter-list",
    "nwfilter-binding-list",
    "domcapabilities",
    "cpu-models x86_64",
    "cpu-baseline /dev/null",
    "domxml-to-native qemu-argv --domain test",
    "dominfo nosuch",
    "domstate nosuch",
    "dump nosuch /dev/null",
    "allocpages 4KiB 1",
    "nodesuspend mem 1",
    "node-memory-tune",
    "nosuchcommand",
];

/// What the qemu driver is asked, and what the drivers beside it are.
const OF_QEMU: &[&str] = &[
    "uri",
    "version",
    "hostname",
    "sysinfo",
    "capabilities",
    "nodeinfo",
    "nodecpumap",
    "maxvcpus qemu",
    "list --all",
    "dumpxml idle",
    "dumpxml --inactive idle",
    "domstate idle",
    "dominfo idle",
    "domuuid idle",
    "vcpucount idle",
    "vcpupin idle",
    "emulatorpin idle",
    "schedinfo idle",
    "memtune idle",
    "numatune idle",
    "blkiotune idle",
    "domblklist idle",
    "domiflist idle",
    "domdisplay idle",
    "domcontrol idle",
    "domjobinfo idle",
    "domtime idle",
    "guestinfo idle",
    "snapshot-list idle",
    "checkpoint-list idle",
    "iothreadinfo idle",
    "ttyconsole idle",
    "vncdisplay idle",
    "screenshot idle",
    "desc idle",
    "domfsinfo idle",
    "qemu-monitor-command idle info",
    "domcapabilities --virttype qemu",
    "cpu-models x86_64",
    "hypervisor-cpu-models",
    "domxml-to-native qemu-argv --domain idle",
    "net-list --all",
    "pool-list --all",
    "pool-capabilities",
    "secret-list",
    "nwfilter-list",
    "iface-list --all",
    "nodedev-list",
    "dominfo nosuch",
    "net-info nosuch",
    "pool-info nosuch",
    "vol-info /nosuch",
    "secret-dumpxml 5f1b7a0e-3a55-4a3c-9b43-2f6d3f0f6a11",
    "nwfilter-dumpxml nosuch",
    "start nosuch",
    "define /dev/null",
];

/// Whose numbers move between two looks.
const OF_THE_MOMENT: &[(&str, &str)] = &[
    (TEST, "dominfo test"),
    (TEST, "vcpuinfo test"),
    (TEST, "domstats"),
    (TEST, "nodememstats"),
    (TEST, "nodecpustats"),
    (TEST, "domtime test"),
    (TEST, "cpu-stats test"),
    (TEST, "dommemstat test"),
    (TEST, "domblkstat test vda"),
    (TEST, "domifstat test vnet0"),
    (QEMU, "nodememstats"),
    (QEMU, "nodecpustats"),
    (QEMU, "freecell"),
    (QEMU, "dommemstat idle"),
    (QEMU, "domstats idle"),
];

fn ask(door: &Door, uri: &str, command: &str) -> Result<Answer> {
    let words: Vec<&str> = command.split(' ').collect();
    door.virsh(uri, &words)
}

/// Expects the same of all commands, and that most of them succeed, or this would be easy.
fn ask_all(house: &House, uri: &str, commands: &[&str]) -> Result<()> {
    let mut succeeded = 0;
    for command in commands {
        let answer = house
            .same(|door| ask(door, uri, command))
            .with_context(|| format!("{command} on {uri}"))?;
        succeeded += usize::from(answer.status == Some(0));
    }
    ensure!(
        succeeded > commands.len() / 2,
        "only {succeeded} commands succeeded"
    );
    Ok(())
}

#[test]
fn the_test_driver_answers_the_same() -> Result<()> {
    let house = House::open()?;
    ask_all(&house, TEST, OF_TEST)
}

#[test]
fn the_qemu_driver_answers_the_same() -> Result<()> {
    let house = House::open()?;
    let xml = house.libvirtd.guest("idle")?;
    house
        .proxied()
        .do_virsh(QEMU, &["define", &xml.to_string_lossy()])?;
    ask_all(&house, QEMU, OF_QEMU)
}

#[test]
fn what_moves_is_told_in_the_same_form() -> Result<()> {
    let house = House::open()?;
    let xml = house.libvirtd.guest("idle")?;
    house
        .proxied()
        .do_virsh(QEMU, &["define", &xml.to_string_lossy()])?;
    for (uri, command) in OF_THE_MOMENT {
        house
            .same(|door| Ok(without_numbers(&ask(door, uri, command)?)))
            .with_context(|| format!("{command} on {uri}"))?;
    }
    Ok(())
}

/// The answer with each number, and the blanks around it, as `N`.
fn without_numbers(answer: &Answer) -> (Option<i32>, String, String) {
    let mask = |text: &str| {
        let mut masked = String::new();
        for c in text.chars() {
            match c {
                '0'..='9' | '.' | ' ' if masked.ends_with('N') => {}
                '0'..='9' => {
                    masked.truncate(masked.trim_end_matches(' ').len());
                    masked.push('N');
                }
                _ => masked.push(c),
            }
        }
        masked
    };
    (answer.status, mask(&answer.stdout), mask(&answer.stderr))
}

#[test]
fn each_scheme_leads_to_its_daemon() -> Result<()> {
    let house = House::open()?;
    for (uri, command) in [
        ("network:///system", "net-list"),
        ("storage:///system", "pool-list"),
        ("nodedev:///system", "nodedev-list"),
        ("nwfilter:///system", "nwfilter-list"),
        ("secret:///system", "secret-list"),
        ("interface:///system", "iface-list"),
        ("network:///system", "list"),
    ] {
        house
            .same(|door| ask(door, uri, command))
            .with_context(|| uri.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_read_only_client_may_look_and_nothing_else() -> Result<()> {
    let house = House::open()?;
    let readers: [fn(&Door) -> Door; 2] = [
        // One that says so itself.
        Door::clone,
        // One that is made so by the socket.
        |door| Door {
            socket: door.socket_ro.clone(),
            socket_ro: door.socket_ro.clone(),
        },
    ];
    for (reader, flags) in readers.iter().zip([&["--readonly"][..], &[]]) {
        for (command, allowed) in [
            ("list --all", true),
            ("dumpxml test", true),
            ("destroy test", false),
            ("suspend test", false),
            ("dumpxml --security-info test", false),
            ("net-destroy default", false),
            ("pool-destroy default-pool", false),
        ] {
            let answer = house
                .same(|door| {
                    let door = reader(door);
                    let words = flags.iter().copied().chain(command.split(' '));
                    door.virsh(TEST, &words.collect::<Vec<_>>())
                })
                .with_context(|| format!("{flags:?} {command}"))?;
            ensure!(
                (answer.status == Some(0)) == allowed,
                "{flags:?} {command}: {answer:?}"
            );
        }
    }
    Ok(())
}
