//! Containers of the real engines, started without a network in folders of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pcp_proto::Status;
use testbed::{PATIENCE, Process, clean_command, eventually, eventually_some};

use crate::bed::{Collector, Root, State, named};

const GONE: Result<i32, Status> = Err(Status::NO_CONTAINER);

// An engine is started after the pmdaroot that has its folder, so that it ends before.

/// A folder with what it takes to sleep.
fn root_folder(state: &State) -> PathBuf {
    let root = state.scratch.join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    symlink("busybox", root.join("bin/sleep")).unwrap();
    root
}

/// Runs a program to its end, and gives what it says.
fn run(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {complaint}");
    said
}

/// Whether a program succeeds.
fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap().success()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What is asked of every container.
fn is_known(collector: &mut Collector, name: &str, host_name: &str, cgroup: &str) {
    let within = Duration::from_secs(60);
    let pid = eventually_some(within, name, || collector.process_id(name).ok()).unwrap();
    assert!(fs::exists(format!("/proc/{pid}/ns")).unwrap());
    let seen = collector.host_name(named(name));
    assert_eq!(seen, Ok((pid, host_name.to_owned())));
    let group = collector.cgroup_name(named(name)).unwrap();
    assert!(group.contains(cgroup), "{group}");
    let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        memberships.contains(&group),
        "{group} is not in {memberships}"
    );
}

/// A dockerd with its data where the state folders have it.
struct Docker {
    daemon: Process,
    socket: String,
}

impl Docker {
    fn start(state: &State) -> Docker {
        let path = |name: &str| state.scratch.join(name);
        let socket = format!("unix://{}", path("docker.sock").display());
        let mut command = clean_command("/usr/sbin/dockerd");
        command.args(["--iptables=false", "--bridge=none", "-H", &socket]);
        command.arg("--data-root").arg(path("docker"));
        command.arg("--exec-root").arg(path("exec"));
        command.arg("-p").arg(path("docker.pid"));
        let log = fs::File::create(path("docker.log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let daemon = Process::spawn("dockerd", command).unwrap();
        let docker = Docker { daemon, socket };
        eventually(PATIENCE, "dockerd to answer", || docker.try_it(&["info"])).unwrap();
        docker
    }

    fn docker(&self, args: &[&str]) -> String {
        run("docker", &[&["-H", &self.socket], args].concat())
    }

    fn try_it(&self, args: &[&str]) -> bool {
        succeeds("docker", &[&["-H", &self.socket], args].concat())
    }

    /// Makes an image of a folder.
    fn import(&self, root: &Path) {
        let archive = root.with_extension("tar");
        run("tar", &["-C", text(root), "-cf", text(&archive), "."]);
        self.docker(&["import", text(&archive), "bb:1"]);
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let all = Command::new("docker")
            .args(["-H", &self.socket, "ps", "-aq"])
            .output();
        for id in String::from_utf8_lossy(&all.unwrap().stdout).lines() {
            self.try_it(&["rm", "-f", id]);
        }
        // At worst it is killed.
        let _ = self.daemon.terminate();
    }
}

#[test]
fn containers_of_a_real_docker_come_change_and_go() {
    let state = State::new();
    let image = root_folder(&state);
    let root = Root::ours(state);
    let docker = Docker::start(&root.state);
    docker.import(&image);
    let mut collector = root.connect();
    assert_eq!(collector.process_id("web"), GONE);
    let start = ["run", "-d", "--network", "none", "--name", "web"];
    let more = ["--hostname", "inside", "bb:1", "/bin/sleep", "300"];
    let id = docker.docker(&[&start[..], &more[..]].concat());
    for name in ["web", &id, &id[..12]] {
        is_known(&mut collector, name, "inside", &id);
    }
    docker.docker(&["rename", "web", "renamed"]);
    is_known(&mut collector, "renamed", "inside", &id);
    assert_eq!(collector.process_id("web"), GONE);
    docker.docker(&["kill", "renamed"]);
    eventually(PATIENCE, "the container to be stopped", || {
        collector.process_id("renamed") == Err(Status::from_errno(3))
    })
    .unwrap();
    docker.docker(&["start", "renamed"]);
    is_known(&mut collector, "renamed", "inside", &id);
    docker.docker(&["rm", "-f", "renamed"]);
    eventually(PATIENCE, "the container to be gone", || {
        collector.process_id(&id) == GONE
    })
    .unwrap();
}

/// A containerd of its own.
struct Containerd {
    daemon: Process,
    socket: String,
}

impl Containerd {
    fn start(state: &State) -> Containerd {
        let path = |name: &str| state.scratch.join(name);
        let socket = path("containerd.sock").display().to_string();
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{socket}\"\n",
            path("containerd-root").display(),
            path("containerd").display(),
        );
        let config = state.scratch.write("containerd.toml", config).unwrap();
        let mut command = clean_command("/usr/bin/containerd");
        command.arg("-c").arg(config);
        let log = fs::File::create(path("containerd.log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let daemon = Process::spawn("containerd", command).unwrap();
        let containerd = Containerd { daemon, socket };
        eventually(PATIENCE, "containerd to answer", || {
            succeeds("ctr", &["-a", &containerd.socket, "version"])
        })
        .unwrap();
        containerd
    }

    fn ctr(&self, args: &[&str]) -> bool {
        succeeds(
            "ctr",
            &[&["-a", &self.socket, "-n", "k8s.io"], args].concat(),
        )
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.ctr(&["task", "kill", "-s", "KILL", "c1"]);
        self.ctr(&["task", "delete", "-f", "c1"]);
        // At worst it is killed.
        let _ = self.daemon.terminate();
    }
}

#[test]
fn containers_of_a_real_containerd_come_and_go() {
    let state = State::new();
    let image = root_folder(&state);
    let root = Root::ours(state);
    let containerd = Containerd::start(&root.state);
    let mut collector = root.connect();
    assert_eq!(collector.process_id("pod/app"), GONE);
    let annotations = [
        "io.kubernetes.cri.container-name=app",
        "io.kubernetes.cri.sandbox-name=pod",
    ];
    let start = [
        "run",
        "-d",
        "--annotation",
        annotations[0],
        "--annotation",
        annotations[1],
    ];
    let more = ["--rootfs", text(&image), "c1", "/bin/sleep", "300"];
    assert!(containerd.ctr(&[&start[..], &more[..]].concat()));
    let host = rustix::system::uname()
        .nodename()
        .to_str()
        .unwrap()
        .to_owned();
    for name in ["pod/app", "c1"] {
        is_known(&mut collector, name, &host, "k8s.io/c1");
    }
    assert!(containerd.ctr(&["task", "kill", "-s", "KILL", "c1"]));
    eventually(PATIENCE, "the task to be gone", || {
        collector.process_id("pod/app").is_err()
    })
    .unwrap();
}

/// A container of LXC; it ends when this is dropped.
struct Lxc(PathBuf);

impl Lxc {
    fn lxc(&self, program: &str, more: &[&str]) -> bool {
        succeeds(
            program,
            &[&["-P", text(&self.0), "-n", "vm"], more].concat(),
        )
    }
}

impl Drop for Lxc {
    fn drop(&mut self) {
        self.lxc("lxc-stop", &["-k"]);
    }
}

#[test]
fn a_real_container_of_lxc_starts_and_stops() {
    let state = State::new();
    let image = root_folder(&state);
    let folder = state.scratch.join("lxc");
    state.lxc("vm");
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.uts.name = inside\nlxc.net.0.type = empty\n\
         lxc.init.cmd = /bin/sleep 300\nlxc.apparmor.profile = unconfined\n",
        image.display()
    );
    fs::write(folder.join("vm/config"), config).unwrap();
    let root = Root::ours(state);
    let lxc = Lxc(folder);
    let mut collector = root.connect();
    for _ in 0..2 {
        collector.await_process_id("vm", Err(Status::from_errno(3)));
        assert!(lxc.lxc("lxc-start", &[]));
        is_known(&mut collector, "vm", "inside", "lxc.payload.vm");
        assert!(lxc.lxc("lxc-stop", &["-k"]));
    }
}

/// Podman with folders of its own; its container goes when this is dropped.
struct Podman {
    data: String,
    run: String,
    tmp: String,
}

impl Podman {
    fn new(state: &State) -> Podman {
        let folder = |name: &str| state.scratch.join(name).display().to_string();
        Podman {
            data: folder("pod-data"),
            run: folder("pod-run"),
            tmp: folder("pod-tmp"),
        }
    }

    fn podman(&self, args: &[&str]) -> String {
        // It does not work with both versions of control groups.
        let script = "run=$1; shift; mount --make-rprivate / && \
            { umount /sys/fs/cgroup/unified || true; } && \
            exec podman --root $0 --runroot $run --tmpdir \"$@\"";
        let folders = ["-m", "sh", "-c", script, &self.data, &self.run, &self.tmp];
        run("unshare", &[&folders, args].concat())
    }

    /// Whether something still works on its folders.
    fn is_busy(&self) -> bool {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
        lines
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .any(|line| line.contains(&self.data))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.podman(&["rm", "-f", "-t", "0", "--all"]);
        // What it has left behind to clean up may take a while; at worst a folder stays.
        let _ = eventually(PATIENCE, "Podman to be done", || !self.is_busy());
    }
}

#[test]
fn a_real_container_of_podman_is_known() {
    let state = State::new();
    let image = root_folder(&state);
    let podman = Podman::new(&state);
    let state = state
        .with(
            "PCP_PODMAN_DATADIR",
            format!("{}/overlay-containers", podman.data),
        )
        .with(
            "PCP_PODMAN_RUNDIR",
            format!("{}/overlay-containers", podman.run),
        );
    let root = Root::ours(state);
    let mut collector = root.connect();
    assert_eq!(collector.process_id("web"), GONE);
    let limits = [
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=1000:1000",
    ];
    let start = [
        "run",
        "-d",
        "--name",
        "web",
        "--hostname",
        "inside",
        "--network",
        "none",
    ];
    let more = ["--rootfs", text(&image), "/bin/sleep", "300"];
    let id = podman.podman(&[&start[..], &limits[..], &more[..]].concat());
    for name in ["web", &id, &id[..12]] {
        is_known(&mut collector, name, "inside", &id);
    }
    podman.podman(&["kill", "web"]);
    eventually(PATIENCE, "the container to be stopped", || {
        collector.process_id("web") == Err(Status::from_errno(3))
    })
    .unwrap();
    podman.podman(&["rm", "web"]);
    assert_eq!(collector.process_id("web"), GONE);
    // Before the folders go.
    drop(podman);
}
