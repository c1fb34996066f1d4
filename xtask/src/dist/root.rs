//! A fresh Debian in a folder, with processes and mounts of its own.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use testbed::{Client, Finished, PATIENCE, Process, clean_command, eventually};

use crate::tree::{must, output};

const SUITE: &str = "bookworm";

/// It takes the first process's part: all others are its children's children, and it buries them.
const KEEPER: &str = "mount -t proc proc /proc; sleep infinity & wait";

/// A Debian that is removed when this is dropped.
pub(super) struct Root {
    folder: PathBuf,
    life: Option<Life>,
}

/// Its processes, which end with their keeper, however that ends.
struct Life {
    keeper: Process,
    /// How many process spaces lie within each other there.
    depth: usize,
}

/// Gives a command processes and mounts of its own.
const OWN_SPACES: [&str; 5] = [
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--kill-child",
];

impl Root {
    /// Makes one with the smallest set of packages and some more, whose services are not started.
    pub(super) fn make(folder: PathBuf, packages: &[String]) -> Result<Root> {
        let root = Root { folder, life: None };
        root.remove()?;
        // debootstrap mounts things, which must not stay if it is interrupted.
        let mut debootstrap = Command::new("unshare");
        debootstrap.args(["--mount", "--propagation=private", "debootstrap"]);
        debootstrap.args(["--variant=minbase", SUITE]);
        debootstrap.arg(&root.folder).arg(mirror()?);
        quietly(&mut debootstrap)?;
        let mut install = Command::new("chroot");
        install
            .arg(&root.folder)
            .args(["apt-get", "install", "--yes"]);
        install
            .args(["-q", "--no-install-recommends"])
            .args(packages);
        install
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        quietly(&mut install)?;
        Ok(root)
    }

    /// Says whether packages may start and stop services from now on. Debian's default, where there
    /// is no first process that does it, is that they may not.
    pub(super) fn let_services_start(&self, may: bool) -> Result<()> {
        let policy = self.folder.join("usr/sbin/policy-rc.d");
        if may {
            fs::write(&policy, "#!/bin/sh\nexit 0\n")?;
            fs::set_permissions(&policy, Permissions::from_mode(0o755))?;
        } else {
            fs::remove_file(&policy)?;
        }
        Ok(())
    }

    /// Gives it processes and mounts of its own.
    pub(super) fn come_alive(&mut self) -> Result<()> {
        let mut command = clean_command("unshare");
        command.args(OWN_SPACES).arg("chroot").arg(&self.folder);
        command.args(["sh", "-c", KEEPER]);
        self.begin(command, 2, "test -e /proc/1/comm")
    }

    /// Starts systemd in it, as the first of processes of its own.
    pub(super) fn boot(&mut self) -> Result<()> {
        let mut command = clean_command("unshare");
        // systemd-nspawn, if it is killed, leaves alive what it has started.
        command
            .args(OWN_SPACES)
            .args(["--mount-proc", "systemd-nspawn"]);
        command.args([
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
        ]);
        command.arg("--directory").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.begin(command, 3, "systemctl is-system-running")
    }

    fn begin(&mut self, command: Command, depth: usize, sign_of_life: &str) -> Result<()> {
        let keeper = Process::spawn("the fresh Debian", command)?;
        self.life = Some(Life { keeper, depth });
        eventually(PATIENCE, "the fresh Debian to be alive", || {
            self.run(sign_of_life).is_ok()
        })
    }

    /// Copies a file into it.
    pub(super) fn put(&self, file: &Path, name: &str) -> Result<()> {
        fs::copy(file, self.folder.join(name))?;
        Ok(())
    }

    /// Runs a shell command in it, whatever its exit status.
    pub(super) fn try_run(&self, command: &str) -> Result<Finished> {
        let first = self.first_process()?;
        Client::new("nsenter")
            .args(["--target", &first, "--mount", "--pid", "--root", "--wd"])
            .args(["sh", "-c", command])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
    }

    /// The process that is the first one for those in it.
    fn first_process(&self) -> Result<String> {
        let Life { keeper, depth } = self.life.as_ref().context("it is not alive")?;
        let mut process = keeper.pid().to_string();
        loop {
            let path = format!("/proc/{process}/task/{process}/children");
            let children = fs::read_to_string(path)?;
            let child = children.split_whitespace().next();
            process = child.context("it has no processes yet")?.to_owned();
            let status = fs::read_to_string(format!("/proc/{process}/status"))?;
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let ids: Vec<&str> = ids.unwrap_or_default().split_whitespace().collect();
            if ids.len() == *depth && ids.last() == Some(&"1") {
                return Ok(process);
            }
        }
    }

    /// Runs a shell command in it that must succeed, and gives what it prints.
    pub(super) fn run(&self, command: &str) -> Result<String> {
        self.try_run(command)?.succeeded()
    }

    /// All its files, each as a line: kind, permissions, owner and group, path, target of a link.
    pub(super) fn files(&self) -> Result<BTreeSet<String>> {
        let listed = output(
            Command::new("find")
                .args([".", "-xdev", "-printf", "%y %m %U:%G %P %l\n"])
                .current_dir(&self.folder),
        )?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// What is in a file; the folder alone lacks what is mounted there.
    pub(super) fn read(&self, name: &str) -> Result<String> {
        self.run(&format!("cat {name}"))
    }

    fn remove(&self) -> Result<()> {
        // Without crossing into anything that should still be mounted.
        must(
            Command::new("rm")
                .args(["-rf", "--one-file-system"])
                .arg(&self.folder),
        )
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.life = None;
        if let Err(error) = self.remove() {
            eprintln!("xtask: {} is left behind: {error:#}", self.folder.display());
        }
    }
}

/// Where this machine's apt gets Debian from.
fn mirror() -> Result<String> {
    let targets = [
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(SITE)",
    ];
    let targets = output(
        Command::new("apt-get")
            .args(targets)
            .arg("Created-By: Packages"),
    )?;
    let wanted = format!("{SUITE} main ");
    let site = targets.lines().find_map(|line| line.strip_prefix(&wanted));
    site.map(str::to_owned)
        .with_context(|| format!("apt on this machine has no mirror of Debian {SUITE}"))
}

/// Runs a command that says much, and shows what it said only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let ended = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if ended.status.success() {
        return Ok(());
    }
    bail!(
        "{command:?} failed: {}\n{}{}",
        ended.status,
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    )
}
