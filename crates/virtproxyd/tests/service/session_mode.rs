//! A virtproxyd of a user's own, without the rights of root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;

use nix::unistd::User;
use testbed::{Client, PATIENCE, Scratch, eventually, packages, uri_unix, virsh};

use crate::home::PROGRAM;

/// A program that stands where a modular daemon of this user's is looked for: Debian 12 has only
/// the monolithic libvirtd, which keeps its sockets under a name of its own.
const DAEMON: &str = "#!/bin/sh\n\
    exec libvirtd \"$@\" -f \"$XDG_CONFIG_HOME/libvirt/behind.conf\"\n";

#[test]
fn a_users_own_virtproxyd_starts_the_daemon_that_a_client_needs() {
    packages::require("libvirt-daemon").unwrap();
    let user = User::from_name("nobody").unwrap().unwrap();
    let scratch = Scratch::new().unwrap();
    scratch.share().unwrap();
    let behind = scratch.folder("behind").unwrap();
    for folder in [
        "run",
        "run/libvirt",
        "config",
        "config/libvirt",
        "bin",
        "cache",
    ] {
        scratch.folder(folder).unwrap();
    }
    let conf = format!(
        "unix_sock_dir = \"{}\"\nauth_unix_rw = \"none\"\nhost_uuid = \"5f1b7a0e-3a55-4a3c-9b43-2f6d3f0f6a12\"\n",
        behind.display()
    );
    scratch.write("config/libvirt/behind.conf", conf).unwrap();
    let program = scratch.write("bin/virttestd", DAEMON).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let socket = scratch.join("run/libvirt/libvirt-sock");
    std::os::unix::fs::symlink(
        behind.join("libvirt-sock"),
        scratch.join("run/libvirt/virttestd-sock"),
    )
    .unwrap();
    for folder in [
        "",
        "run",
        "run/libvirt",
        "config",
        "config/libvirt",
        "bin",
        "cache",
        "behind",
    ] {
        chown(
            scratch.join(folder),
            Some(user.uid.as_raw()),
            Some(user.gid.as_raw()),
        )
        .unwrap();
    }
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        scratch.join("bin").display()
    );
    let mut proxy = Client::new("setpriv")
        .args([
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            PROGRAM,
            "-v",
        ])
        .env("HOME", scratch.path())
        .env("XDG_RUNTIME_DIR", scratch.join("run"))
        .env("XDG_CONFIG_HOME", scratch.join("config"))
        .env("XDG_CACHE_HOME", scratch.join("cache"))
        .env("PATH", path)
        .start()
        .unwrap();
    let connects = || UnixStream::connect(&socket).is_ok();
    eventually(PATIENCE, "its socket", connects).unwrap();
    assert!(!scratch.join("run/libvirt/libvirt-sock-ro").exists());
    let listed = virsh(&uri_unix("test:///default", &socket))
        .args(["list", "--name"])
        .run()
        .unwrap();
    assert_eq!(listed.succeeded().unwrap().trim(), "test");
    // Once it serves, all is there.
    assert!(scratch.join("run/libvirt/libvirt-admin-sock").exists());
    assert!(scratch.join("run/libvirt/virtproxyd.pid").exists());
    proxy.process().terminate().unwrap();
    // The daemon that was started ends by itself when nobody needs it; here it is told to.
    end_daemon(&scratch);
}

/// Ends the libvirtd whose configuration is in this folder.
fn end_daemon(scratch: &Scratch) {
    let conf = scratch.join("config/libvirt/behind.conf");
    let Ok(processes) = fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&line).contains(conf.to_str().unwrap_or("-"));
        if let (true, Ok(pid)) = (ours, process.file_name().to_string_lossy().parse()) {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}
