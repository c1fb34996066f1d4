//! A mount namespace in which a libvirtd has the machine's folders to itself. It stays while daemons
//! in it come and go, and everything that runs in it ends with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::clean_command;
use crate::scratch::Scratch;

/// Makes the mounts, says so, and waits for its input to end. That happens when the testbed lets go
/// of the chamber, and also when the test is killed. Then it ends all that has the same mounts as
/// itself: guests are in sessions of their own and outlive their libvirtd.
///
/// - `etc` and `log` are folders of the test, so that it can write and read in them; so is `sasl2`,
///   if there is one. State is kept in memory.
/// - What libvirtd finds out about an emulator takes seconds. It keeps that in files that it checks
///   by itself, and all tests share them (`$2`). Only one emulator is to be found, and no KVM; a file in its place
///   must not be writable even for root, or libvirtd would try again and again.
/// - The qemu driver wants a user and a group that the package makes, but not everywhere.
const SCRIPT: &str = r#"
set -e
cd "$1"
mkdir -p /run/libvirt
for state in /run/libvirt /var/lib/libvirt /var/cache/libvirt; do
    mount -t tmpfs gatehouse "$state"
done
mkdir -p /var/cache/libvirt/qemu/capabilities
mount --bind "$2" /var/cache/libvirt/qemu/capabilities
mount --bind etc /etc/libvirt
mount --bind log /var/log/libvirt
if [ -d sasl2 ]; then mount --bind sasl2 /etc/sasl2; fi
touch nothing
for hidden in /dev/kvm /usr/bin/qemu-system-i386; do
    if [ -e "$hidden" ]; then
        mount --bind nothing "$hidden"
        mount -o remount,bind,ro "$hidden"
    fi
done
cp /etc/passwd passwd
grep -q '^libvirt-qemu:' passwd || echo 'libvirt-qemu:x:64055:64055::/nonexistent:/bin/false' >> passwd
mount --bind passwd /etc/passwd
cp /etc/group group
grep -q '^libvirt-qemu:' group || echo 'libvirt-qemu:x:64055:' >> group
grep -q '^kvm:' group || echo 'kvm:x:64054:' >> group
mount --bind group /etc/group
echo ready
read -r line || true
for turn in 1 2 3; do
    for mounts in $(find -L /proc/[0-9]*/ns/mnt -samefile /proc/$$/ns/mnt 2> /dev/null); do
        pid=${mounts#/proc/}
        pid=${pid%/ns/mnt}
        [ "$pid" = $$ ] || kill -KILL "$pid" 2> /dev/null || true
    done
done
"#;

/// The namespace.
#[derive(Debug)]
pub(super) struct Chamber {
    holder: Child,
}

impl Chamber {
    /// Opens one for the daemon whose folder is `scratch`, with `etc` and `log` in it. What libvirtd
    /// learns about emulators is in `capabilities`.
    pub(super) fn open(scratch: &Scratch, capabilities: &Path) -> Result<Chamber> {
        let complaints = scratch.join("chamber.output");
        let mut command = clean_command("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "/bin/sh",
                "-c",
                SCRIPT,
                "chamber",
            ])
            .args([scratch.path(), capabilities])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints)?)
            .process_group(0);
        let mut holder = command.spawn().context("cannot run unshare")?;
        let stdout = holder.stdout.take().context("unshare has no output")?;
        let chamber = Chamber { holder };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != "ready" {
            let complaints = std::fs::read_to_string(complaints).unwrap_or_default();
            bail!("cannot make a mount namespace, which only root can: {complaints}");
        }
        Ok(chamber)
    }

    /// A command that runs in it, as one process.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = clean_command("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg("--")
            .arg(program);
        command
    }
}

impl Drop for Chamber {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // At worst it was killed before.
        let _ = self.holder.wait();
    }
}
