//! The private libvirtd with real clients and real guests.

use std::os::unix::net::{UnixListener, UnixStream};

use virt_proto::{GetUri, OpenFlags, Uri};

use super::*;
use crate::virt::{uri_unix, virsh};
use crate::{Client, eventually};

fn qemu(libvirtd: &Libvirtd) -> String {
    uri_unix("qemu:///system", &libvirtd.socket())
}

/// Runs a command of virsh to its good end.
fn run_virsh(uri: &str, args: &[&str]) -> String {
    virsh(uri).args(args).run().unwrap().succeeded().unwrap()
}

#[test]
fn the_test_driver_has_its_domain() {
    let libvirtd = Libvirtd::start().unwrap();
    let uri = uri_unix("test:///default", &libvirtd.socket());
    assert_eq!(run_virsh(&uri, &["list", "--name"]).trim(), "test");
}

#[test]
fn a_real_guest_runs_through_a_restart_and_ends_with_the_test() {
    let mut libvirtd = Libvirtd::start().unwrap();
    let uri = qemu(&libvirtd);
    let xml = libvirtd.guest("echo").unwrap();
    run_virsh(&uri, &["define", xml.to_str().unwrap()]);
    run_virsh(&uri, &["start", "echo"]);
    libvirtd.kill();
    libvirtd.restart().unwrap();
    assert_eq!(run_virsh(&uri, &["domstate", "echo"]).trim(), "running");
    let folder = libvirtd.folder().to_owned();
    assert!(is_mentioned(&folder));
    drop(libvirtd);
    assert!(!folder.exists());
    // Who was killed is gone a moment later.
    eventually(PATIENCE, "the end of all", || !is_mentioned(&folder)).unwrap();
}

/// Whether the command line of a process has this folder in it.
fn is_mentioned(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .any(|line| line.contains(folder))
}

#[test]
fn a_plain_relay_in_between_changes_nothing() {
    let libvirtd = Libvirtd::start().unwrap();
    let between = libvirtd.folder().join("between");
    let listen = format!("UNIX-LISTEN:{},fork", between.display());
    let connect = format!("UNIX-CONNECT:{}", libvirtd.socket().display());
    let _relay = Client::new("socat")
        .args([listen, connect])
        .start()
        .unwrap();
    let connects = || UnixStream::connect(&between).is_ok();
    eventually(PATIENCE, "socat to listen", connects).unwrap();
    let uri = uri_unix("qemu:///system", &between);
    let xml = libvirtd.guest("echo").unwrap();
    run_virsh(&uri, &["create", xml.to_str().unwrap()]);
    assert_eq!(run_virsh(&uri, &["domstate", "echo"]).trim(), "running");
    run_virsh(&uri, &["destroy", "echo"]);
    assert_eq!(run_virsh(&uri, &["list", "--name"]).trim(), "");
}

#[test]
fn its_sockets_take_the_names_of_a_modular_daemons() {
    let libvirtd = Libvirtd::start().unwrap();
    let folder = libvirtd.scratch.folder("daemons").unwrap();
    libvirtd.link_as(&folder, "test").unwrap();
    for name in ["virttestd-sock", "virttestd-sock-ro"] {
        let mut wire = VirtWire::unix(&folder.join(name)).unwrap();
        wire.open("test:///default", OpenFlags::default()).unwrap();
        let uri = wire.call(&GetUri).unwrap().unwrap();
        assert_eq!(uri, Uri("test:///default".into()));
    }
}

#[test]
fn settings_of_the_test_come_before_the_testbeds() {
    let builder = Libvirtd::builder().config("auth_tcp = \"none\"").tcp();
    let libvirtd = builder.start().unwrap();
    let mut wire = VirtWire::tcp(libvirtd.tcp_port().unwrap()).unwrap();
    wire.open("test:///default", OpenFlags::default()).unwrap();
}

#[test]
fn one_that_ends_at_once_is_reported_with_what_it_said() {
    let error = Libvirtd::builder()
        .config("auth_unix_rw = 7")
        .start()
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("libvirtd ended while it was being started"),
        "{error}"
    );
    assert!(error.contains("auth_unix_rw"), "{error}");
}

#[test]
fn a_descriptor_goes_over_the_wire_in_both_directions() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut here = VirtWire::unix(&path).unwrap();
    let mut there = VirtWire::new(listener.accept().unwrap().0).unwrap();
    let file = File::open("/dev/null").unwrap();
    here.send_fd(std::os::fd::AsFd::as_fd(&file)).unwrap();
    there.receive_fd().unwrap();
    here.send(&[0]).unwrap();
    assert!(there.receive_fd().is_err());
}
