//! A pmdaroot under a real pmcd, and containers for it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::eventually::{PATIENCE, eventually};
use crate::pmcd::Pmcd;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;

/// The pmdaroot of Debian's package.
pub const DEBIAN_PMDAROOT: &str = "/var/lib/pcp/pmdas/root/pmdaroot";

/// Its part of the name space.
const NAME_SPACE: &str = "/var/lib/pcp/pmns/root_root";

/// A pmdaroot that a pmcd of its own runs as its agent. All state folders of container engines that
/// it looks at are empty and belong to the test.
#[derive(Debug)]
pub struct PmdaRoot {
    // Dropped in this order: the folder outlives the processes.
    pmcd: Pmcd,
    scratch: Scratch,
}

impl PmdaRoot {
    /// Starts a pmcd with this pmdaroot, and waits until the socket is there.
    ///
    /// # Errors
    /// When the Debian package pcp is missing, or one of them does not come up.
    pub fn start(program: impl AsRef<Path>) -> Result<PmdaRoot> {
        let scratch = Scratch::new()?;
        let folder = |name: &str| scratch.folder(name);
        let docker = folder("docker")?;
        scratch.folder("docker/containers")?;
        let line = format!(
            "root\t1\tpipe\tbinary\t\t{} -l {} -s {}",
            program.as_ref().display(),
            scratch.join("root.log").display(),
            scratch.join("root.socket").display(),
        );
        let pmcd = Pmcd::builder("root")
            .agent(line, NAME_SPACE)
            .env("PCP_DOCKER_DIR", docker)
            .env("PCP_PODMAN_DATADIR", folder("podman")?)
            .env("PCP_PODMAN_RUNDIR", folder("podman-run")?)
            .env("PCP_LXC_DIR", folder("lxc")?)
            .env("PCP_CONTAINERD_RUNDIR", folder("containerd")?)
            .env("PCP_MACHINES_DIR", folder("machines")?)
            .start()?;
        let root = PmdaRoot { pmcd, scratch };
        let connects = || UnixStream::connect(root.socket()).is_ok();
        eventually(PATIENCE, "pmdaroot's socket", connects).with_context(|| root.pmcd.log())?;
        Ok(root)
    }

    /// The pmcd that runs it.
    pub fn pmcd(&self) -> &Pmcd {
        &self.pmcd
    }

    /// Where clients connect.
    pub fn socket(&self) -> PathBuf {
        self.scratch.join("root.socket")
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("root.log")).unwrap_or_default()
    }

    /// Makes up a running Docker container.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn docker_container(&self, id: &str, name: &str, pid: u32) -> Result<()> {
        let folder = format!("docker/containers/{id}");
        self.scratch.folder(&folder)?;
        let state = format!(
            r#"{{"State":{{"Running":true,"Paused":false,"Restarting":false,"Pid":{pid}}},"ID":"{id}","Name":"/{name}"}}"#
        );
        self.scratch
            .write(format!("{folder}/config.v2.json"), state)?;
        Ok(())
    }
}

/// A process that has a host name of its own, as those in containers have.
#[derive(Debug)]
pub struct UtsBox(Process);

impl UtsBox {
    /// Starts one, and waits until it has the name.
    ///
    /// # Errors
    /// When this user may not make namespaces.
    pub fn start(host_name: &str) -> Result<UtsBox> {
        let mut command = clean_command("unshare");
        let script = "hostname \"$0\" && echo ready && exec sleep 1000";
        command.args(["--uts", "sh", "-c", script, host_name]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn("unshare", command)?;
        let output = process.child().stdout.take();
        let mut said = String::new();
        BufReader::new(output.context("unshare has no output")?).read_line(&mut said)?;
        anyhow::ensure!(said == "ready\n", "no UTS namespace: it said {said:?}");
        Ok(UtsBox(process))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn a_real_client_sees_a_container_that_was_made_up() {
        let inside = UtsBox::start("inside").unwrap();
        let root = PmdaRoot::start(DEBIAN_PMDAROOT).unwrap();
        root.docker_container(&"a1".repeat(32), "alpha", inside.pid())
            .unwrap();
        let host = format!("localhost:{}", root.pmcd().port());
        let client = Client::new("pminfo").args(["-h", &host, "-f", "containers.name"]);
        let shown = client.run().unwrap().succeeded().unwrap();
        assert!(shown.contains("value \"alpha\""), "{shown}\n{}", root.log());
    }

    #[test]
    fn a_box_is_in_a_namespace_of_its_own() {
        let inside = UtsBox::start("inside").unwrap();
        let name_space = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/uts"));
        let own = name_space("self").unwrap();
        assert_ne!(name_space(&inside.pid().to_string()).unwrap(), own);
    }
}
