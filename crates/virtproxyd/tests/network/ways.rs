//! All ways in lead to the same: over TCP and TLS clients get what they get from libvirtd itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use testbed::{
    Client, PATIENCE, Running, VirtStub, eventually, python_libvirt, uri_tcp, uri_tls, uri_unix,
    virsh, virt_admin,
};
use virt_proto::identity::name;
use virt_proto::{Payload, Procedure, SetIdentity, TypedParam, TypedValue};

use crate::pki::{Gate, Pki};

const TEST: &str = "test:///default";
const QEMU: &str = "qemu:///system";

/// What the log says of an opened session.
const OPENED: &str = " opened qemu:///system";

/// Asked of the test driver; some of it fails.
const COMMANDS: &[&str] = &[
    "version --daemon",
    "hostname",
    "capabilities",
    "nodeinfo",
    "list --all",
    "dumpxml test",
    "domstate test --reason",
    "dominfo nosuch",
    "vcpupin test",
    "net-list --all",
    "net-dumpxml default",
    "pool-info default-pool",
    "vol-list default-pool",
    "iface-dumpxml eth1",
    "nodedev-list",
    "secret-list",
    "start test",
    "suspend test",
    "resume test",
    "nosuchcommand",
];

struct Ways {
    gate: Gate,
    _pki: Pki,
    folder: PathBuf,
}

impl Ways {
    fn open() -> Result<Ways> {
        let pki = Pki::new()?;
        let config = format!("{}listen_tcp = 1\nauth_tcp = \"none\"\n", pki.config());
        Ok(Ways {
            gate: Gate::start(&config)?,
            folder: pki.client("good", Some(&pki.authority))?,
            _pki: pki,
        })
    }

    fn direct(&self, uri: &str) -> String {
        uri_unix(uri, &self.gate.libvirtd.socket())
    }

    fn tcp(&self, uri: &str) -> String {
        uri_tcp(uri, self.gate.proxy.tcp_port())
    }

    fn tls(&self, uri: &str) -> String {
        uri_tls(uri, self.gate.proxy.tls_port(), &self.folder)
    }

    /// The ways through the proxy.
    fn all(&self, uri: &str) -> [String; 3] {
        let unix = uri_unix(uri, &self.gate.proxy.socket());
        [unix, self.tcp(uri), self.tls(uri)]
    }
}

/// A client that runs one of the scripts of the tests of sessions.
fn script(name: &str, uri: &str) -> Client {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    python_libvirt(&path.join(name)).args([uri])
}

fn start_until(client: &Client, text: &str) -> Result<Running> {
    let running = client.start()?;
    eventually(PATIENCE, format!("«{text}» from {client}"), || {
        running.stdout().contains(text)
    })
    .with_context(|| running.stderr())?;
    Ok(running)
}

fn run(uri: &str, words: &[&str]) -> Result<String> {
    virsh(uri).args(words).run()?.succeeded()
}

#[test]
fn commands_are_answered_the_same_on_all_ways() {
    let ways = Ways::open().unwrap();
    let ask = |uri: &str, command: &str| {
        let said = virsh(uri).args(command.split(' ')).run().unwrap();
        (said.status.code(), said.stdout, said.stderr)
    };
    for command in COMMANDS {
        let direct = ask(&ways.direct(TEST), command);
        for uri in ways.all(TEST) {
            assert_eq!(ask(&uri, command), direct, "{command} at {uri}");
        }
    }
}

#[test]
fn administrators_of_proxy_and_daemon_see_who_a_client_is() {
    let ways = Ways::open().unwrap();
    let ask = |admin: &Client, words: &[&str]| {
        let told = admin.clone().args(words).run().unwrap();
        told.succeeded().unwrap()
    };
    let ours = virt_admin("virtproxyd", &ways.gate.proxy.admin_socket());
    let socket = ways.gate.libvirtd.socket();
    let theirs = virt_admin("libvirtd", &socket.with_file_name("libvirt-admin-sock"));
    let last = |admin: &Client, server: &str| {
        let list = ask(admin, &["client-list", server]);
        let mut rows = list.lines().filter(|line| line.contains(':'));
        let id = rows.next_back().unwrap().split_whitespace().next().unwrap();
        (id.to_owned(), ask(admin, &["client-info", server, id]))
    };
    let [unix, tcp, tls] = ways.all(TEST);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions/closed.py");
    let nobody = Client::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .args([
            "/usr/bin/python3".as_ref(),
            "-u".as_ref(),
            script.as_os_str(),
        ])
        .args([&unix]);
    let listen = |uri: &str| python_libvirt(&script).args([uri]);
    for (client, lines) in [
        (
            nobody,
            &["transport      : unix\n", "unix_user_name : nobody\n"][..],
        ),
        (
            listen(&tcp),
            &["transport      : tcp\n", "sock_addr      : 127.0.0.1:"],
        ),
        (
            listen(&tls),
            &[
                "transport      : tls\n",
                "sock_addr      : 127.0.0.1:",
                "CN=good\n",
            ],
        ),
    ] {
        let listener = start_until(&client, "open").unwrap();
        let (id, info) = last(&ours, "virtproxyd");
        for line in lines {
            assert!(info.contains(line), "{line}: {info}");
        }
        // The daemon was told the same.
        let (_, told) = last(&theirs, "libvirtd");
        for line in info.lines().filter(|line| line.starts_with("unix_")) {
            assert!(told.contains(line), "{line}: {told}");
        }
        ask(&ours, &["client-disconnect", "virtproxyd", &id]);
        let said = listener.finish().unwrap().succeeded().unwrap();
        assert!(said.contains("closed"), "{said}");
    }
}

#[test]
fn guests_talk_and_tell_on_all_ways() {
    let ways = Ways::open().unwrap();
    let xml = ways.gate.libvirtd.guest("echo").unwrap();
    let listen = |uri: &str| start_until(&script("events.py", uri), "listening").unwrap();
    let mut listeners = vec![listen(&ways.direct(QEMU))];
    listeners.extend(ways.all(QEMU).iter().map(|uri| listen(uri)));
    let [_, tcp, tls] = ways.all(QEMU);
    run(&tls, &["define", &xml.to_string_lossy()]).unwrap();
    run(&tcp, &["start", "echo"]).unwrap();
    for uri in [&tcp, &tls] {
        let console = script("console.py", uri).args(["echo"]).run().unwrap();
        let echoed = console.succeeded().unwrap();
        assert!(echoed.contains("echoed 4096 bytes"), "{echoed}");
        // What cannot be passed here is an error, and the connection goes on.
        let refused = script("graphics.py", uri).args(["echo", "refused"]);
        let said = refused.run().unwrap().succeeded().unwrap();
        assert_eq!(said.matches("refused: ").count(), 40, "{said}");
        assert!(said.contains("still connected"), "{said}");
    }
    run(&tls, &["destroy", "echo"]).unwrap();
    run(&tcp, &["undefine", "echo"]).unwrap();
    let ends = listeners.into_iter().map(|one| one.finish()?.succeeded());
    let heard = ends.collect::<Result<Vec<_>>>().unwrap();
    assert!(heard[0].lines().count() > 4, "{heard:?}");
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
}

#[test]
fn volumes_go_up_and_down_over_the_network() -> Result<()> {
    let ways = Ways::open()?;
    let folder = ways.gate.libvirtd.folder();
    let (sent, got, pool) = (folder.join("sent"), folder.join("got"), folder.join("pool"));
    let bytes: Vec<u8> = (0u32..8 << 20).flat_map(u32::to_be_bytes).collect();
    fs::write(&sent, &bytes)?;
    fs::create_dir(&pool)?;
    let (sent, target) = (sent.to_string_lossy(), pool.to_string_lossy());
    let [_, tcp, tls] = ways.all(QEMU);
    let words = ["pool-create-as", "pool", "dir", "--target", &target];
    run(&tls, &words)?;
    run(&tls, &["vol-create-as", "pool", "volume", "32M"])?;
    for (up, down) in [(&tcp, &tls), (&tls, &tcp)] {
        fs::write(pool.join("volume"), vec![0; 32 << 20])?;
        run(up, &["vol-upload", "volume", &sent, "--pool", "pool"])?;
        ensure!(
            fs::read(pool.join("volume"))? == bytes,
            "{up} changes bytes"
        );
        let file = got.to_string_lossy();
        run(down, &["vol-download", "volume", &file, "--pool", "pool"])?;
        ensure!(fs::read(&got)? == bytes, "{down} changes bytes");
    }
    Ok(())
}

#[test]
fn daemons_are_told_the_name_in_a_certificate() {
    let ways = Ways::open().unwrap();
    let socket = ways.gate.proxy.daemons().join("virtoddd-sock");
    let daemon = VirtStub::start(&socket, VirtStub::obey).unwrap();
    let client = virsh(&ways.tls("odd:///x")).args(["event", "--all", "--loop"]);
    let _client = client.start().unwrap();
    let told = loop {
        let call = daemon.next_call().unwrap();
        if call.header.procedure == Procedure::CONNECT_SET_IDENTITY {
            break SetIdentity::decode(&call.payload).unwrap().params;
        }
    };
    let good = TypedValue::String("CN=good".into());
    assert_eq!(told, [TypedParam::new(name::X509_DISTINGUISHED_NAME, good)]);
}

#[test]
fn streams_over_tls_that_nobody_reads_cost_little_and_leave_nothing() -> Result<()> {
    const GROWTH: u64 = 4 << 10;
    let ways = Ways::open()?;
    let pool = ways.gate.libvirtd.folder().join("pool");
    fs::create_dir(&pool)?;
    let [_, tcp, tls] = ways.all(QEMU);
    let target = pool.to_string_lossy();
    run(
        &tls,
        &["pool-create-as", "pool", "dir", "--target", &target],
    )?;
    run(&tcp, &["vol-create-as", "pool", "volume", "64M"])?;
    fs::write(pool.join("volume"), vec![7; 64 << 20])?;
    let proxy = &ways.gate.proxy;
    let sessions = proxy.log().matches(OPENED).count();
    eventually(PATIENCE, "their ends", || {
        proxy.log().matches("closed the connection").count() >= sessions
    })?;
    let (memory, descriptors) = (proxy.rss_kb()?, proxy.descriptors()?);
    for uri in [&tcp, &tls] {
        let client = script("stream.py", uri).args(["volume", "stalled"]);
        let mut stalled = start_until(&client, "stalled")?;
        let mut last = (proxy.cpu_ticks()?, 0);
        eventually(PATIENCE, "rest", || {
            let now = proxy.cpu_ticks().unwrap_or_default();
            last = (now, if now == last.0 { last.1 + 1 } else { 0 });
            last.1 >= 50
        })?;
        let grown = proxy.rss_kb()?.saturating_sub(memory);
        ensure!(grown < GROWTH, "the proxy grew by {grown} kB for {uri}");
        stalled.process().kill();
        proxy.await_descriptors(descriptors)?;
    }
    run(&tls, &["list"])?;
    Ok(())
}
