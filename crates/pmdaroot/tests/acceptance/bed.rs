//! A running pmdaroot, ours or Debian's, without a pmcd; a collector that talks with it; and state
//! folders of engines.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pcp_proto::root::{
    Answer, ContainerName, Failure, Features as Offered, Next, Request, StopRequest, Stopped,
    Target, Version,
};
use pcp_proto::{Creds, Features, PDU_VERSION, Pdu, Status, VersionCred};
use testbed::{PATIENCE, Process, Scratch, clean_command, eventually};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_pmdaroot");
pub(crate) const DEBIANS: &str = "/var/lib/pcp/pmdas/root/pmdaroot";
pub(crate) const NAME_SPACE: &str = "/var/lib/pcp/pmns/root_root";

/// A pmdaroot whose pmcd is the test.
pub(crate) struct Root {
    pub(crate) process: Process,
    pub(crate) state: State,
    socket: PathBuf,
}

impl Root {
    pub(crate) fn ours(state: State) -> Root {
        Root::start(OURS, state)
    }

    pub(crate) fn start(program: &str, state: State) -> Root {
        let socket = state.scratch.join("root.socket");
        let mut command = clean_command(program);
        command.arg("-l").arg(state.scratch.join("root.log"));
        command.arg("-s").arg(&socket);
        command.envs(state.environment());
        command.envs(state.more.iter().map(|(name, value)| (name, value)));
        command.current_dir(state.scratch.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn("pmdaroot", command).unwrap();
        let version = VersionCred {
            version: PDU_VERSION,
            features: Features::default(),
        };
        let creds = Creds {
            versions: vec![version],
        };
        let stdin = process.child().stdin.as_mut().unwrap();
        stdin.write_all(&creds.encode(0)).unwrap();
        let root = Root {
            process,
            state,
            socket,
        };
        eventually(PATIENCE, "pmdaroot to listen", || {
            UnixStream::connect(&root.socket).is_ok()
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", root.log()));
        // Whoever is greeted knows that all is open that will stay open.
        drop(root.connect());
        root
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.state.scratch.join("root.log")).unwrap_or_default()
    }

    pub(crate) fn await_log(&self, text: &str) {
        eventually(PATIENCE, format!("{text:?} in the log"), || {
            self.log().contains(text)
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    pub(crate) fn connect(&self) -> Collector {
        let mut collector = Collector::connect(&self.socket);
        let greeting = collector.receive(|answer| match answer {
            Answer::Info(features) => features,
            other => panic!("{other:?}"),
        });
        assert_eq!(greeting, Ok(Offered::ALL));
        collector
    }
}

/// One end of a connection to pmdaroot.
pub(crate) struct Collector {
    pub(crate) stream: UnixStream,
    bytes: Vec<u8>,
}

/// Process, and host name or control group.
pub(crate) type Found = Result<(i32, String), Status>;

impl Collector {
    pub(crate) fn connect(socket: &Path) -> Collector {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Collector {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Reads one answer.
    pub(crate) fn receive<T>(&mut self, read: impl FnOnce(Answer<'_>) -> T) -> T {
        loop {
            if let Next::Whole { pdu, len, .. } = Answer::next(&self.bytes).unwrap() {
                let value = read(pdu);
                self.bytes.drain(..len);
                return value;
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "pmdaroot has closed the connection");
            self.bytes.extend_from_slice(&piece[..count]);
        }
    }

    pub(crate) fn receive_found(&mut self) -> Found {
        self.receive(|answer| match answer {
            Answer::HostName(found) | Answer::ProcessId(found) | Answer::CgroupName(found) => found
                .map(|found| (found.pid, found.text.to_string()))
                .map_err(Failure::status),
            other => panic!("{other:?}"),
        })
    }

    pub(crate) fn send(&mut self, request: &Request<'_>) {
        let bytes = request.encode(Version::default());
        self.stream.write_all(&bytes).unwrap();
    }

    pub(crate) fn process_id(&mut self, name: &str) -> Result<i32, Status> {
        self.send(&Request::ProcessId(named(name)));
        self.receive_found().map(|(pid, _)| pid)
    }

    /// Asks until the answer is this one. On a busy machine lxc-info may take longer than pmdaroot waits
    /// for it, and is then left alone for half a minute.
    pub(crate) fn await_process_id(&mut self, name: &str, expected: Result<i32, Status>) {
        let within = Duration::from_secs(60);
        eventually(within, name, || self.process_id(name) == expected).unwrap();
    }

    pub(crate) fn host_name(&mut self, target: Target<'_>) -> Found {
        self.send(&Request::HostName(target));
        self.receive_found()
    }

    pub(crate) fn cgroup_name(&mut self, target: Target<'_>) -> Result<String, Status> {
        self.send(&Request::CgroupName(target));
        self.receive_found().map(|(_, path)| path)
    }

    pub(crate) fn stop(&mut self, request: StopRequest) -> Result<Stopped, Status> {
        self.send(&Request::Stop(request));
        self.receive(|answer| match answer {
            Answer::Stop(stopped) => stopped.map_err(Failure::status),
            other => panic!("{other:?}"),
        })
    }

    /// Waits until the other side has closed, and gives what it said before.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.bytes);
        // A reset is an end, too.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }
}

pub(crate) fn named(name: &str) -> Target<'_> {
    Target::Name(ContainerName::new(name.as_bytes()).unwrap())
}

/// State folders of all engines, empty at first, and the variables that point to them.
pub(crate) struct State {
    pub(crate) scratch: Scratch,
    pub(crate) more: Vec<(String, String)>,
}

impl State {
    pub(crate) fn new() -> State {
        let scratch = Scratch::new().unwrap();
        for folder in [
            "docker/containers",
            "podman/data",
            "podman/run",
            "lxc",
            "cgroup",
        ] {
            fs::create_dir_all(scratch.join(folder)).unwrap();
        }
        State {
            scratch,
            more: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> State {
        self.more.push((name.into(), value.into()));
        self
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        [
            ("PCP_DOCKER_DIR", "docker"),
            ("PCP_PODMAN_DATADIR", "podman/data"),
            ("PCP_PODMAN_RUNDIR", "podman/run"),
            ("PCP_LXC_DIR", "lxc"),
            ("PCP_CONTAINERD_RUNDIR", "containerd"),
            ("PCP_MACHINES_DIR", "machines"),
            ("PCP_CGROUP_DIR", "cgroup"),
        ]
        .map(|(name, folder)| (name, self.scratch.join(folder)))
        .to_vec()
    }

    /// Lays out a container of Docker, as Docker does it: the file comes under its name whole.
    pub(crate) fn docker(&self, id: &str, name: &str, pid: u32, state: &str) {
        let folder = self.scratch.join("docker/containers").join(id);
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            r#"{{"StreamConfig":{{}},"State":{{{state}"Pid":{pid},"ExitCode":0}},"ID":"{id}","Name":"/{name}","Config":{{"Hostname":"x","State":{{"Pid":3}}}}}}"#
        );
        let draft = folder.join(".tmp-config.v2.json");
        fs::write(&draft, config).unwrap();
        fs::rename(draft, folder.join("config.v2.json")).unwrap();
    }

    pub(crate) fn podman(&self, containers: &[(&str, &str)]) {
        let entries: Vec<String> = containers
            .iter()
            .map(|(id, name)| {
                format!(r#"{{"id":"{id}","names":["{name}"],"layer":"x","flags":{{"a":["b"]}}}}"#)
            })
            .collect();
        let draft = self.scratch.join("podman/data/.draft");
        fs::write(&draft, format!("[{}]", entries.join(","))).unwrap();
        fs::rename(draft, self.scratch.join("podman/data/containers.json")).unwrap();
    }

    pub(crate) fn podman_runs(&self, id: &str, pid: u32) {
        let folder = self.scratch.join("podman/run").join(id).join("userdata");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pidfile"), pid.to_string()).unwrap();
    }

    /// A program in place of `lxc-info`; `$2` is the name of the container. It outlives a server that is
    /// killed, and should not sleep for long.
    pub(crate) fn lxc_info(self, script: &str) -> State {
        let path = self.scratch.write("lxc-info", script).unwrap();
        let command = format!("/bin/sh {}", path.display());
        self.with("PCP_LXC_INFO", command)
    }

    pub(crate) fn lxc(&self, name: &str) {
        fs::create_dir_all(self.scratch.join("lxc").join(name)).unwrap();
    }
}

/// The identifier that an engine might make up.
pub(crate) fn identifier(number: u32) -> String {
    let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{:016x}{number:016x}{mixed:016x}", !mixed)
}

pub(crate) const RUNNING: &str = r#""Running":true,"Paused":false,"Restarting":false,"#;
pub(crate) const STOPPED: &str = r#""Running":false,"Paused":false,"Restarting":false,"#;

/// A process in a UTS namespace of its own, with a host name of its own.
pub(crate) struct Guest(Child);

impl Guest {
    pub(crate) fn new(host_name: &str) -> Guest {
        let mut child = Command::new("unshare")
            .args(["--uts", "sh", "-c", "hostname $0; echo; read -r line"])
            .arg(host_name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        Guest(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // At worst it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
