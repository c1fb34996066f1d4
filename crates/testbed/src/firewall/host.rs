//! One host of a test: a network and mounts of its own, which a process holds.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};

use crate::client::Client;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;
use crate::stub::{Stop, Stub};
use crate::wire::Wire;

/// Lays a folder in memory over `/etc`, so that files can be changed and added for this host alone,
/// and waits to be ended. Names are looked up in `/etc/hosts` and nowhere else.
const SCRIPT: &str = r#"
set -e
hostname "$0"
mkdir "$1/etc"
mount -t tmpfs gatehouse "$1/etc"
mkdir "$1/etc/upper" "$1/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work" gatehouse /etc
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
rm -f /etc/pcp_socks.conf
ip link set lo up
echo ready
exec sleep 86400
"#;

/// How long a look at a server may take that is perhaps not there yet.
const GLANCE: Duration = Duration::from_secs(1);

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The administrator.
    Root,
    /// The user `nobody`, without any right that others have not.
    Nobody,
}

impl Who {
    /// Both, for tests that both must pass.
    pub const BOTH: [Who; 2] = [Who::Root, Who::Nobody];
}

/// A handle of the host; the host ends with the last one.
#[derive(Clone, Debug)]
pub struct Host {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    // Dropped in this order: the folder outlives the process.
    process: Process,
    _scratch: Scratch,
}

impl Host {
    /// Starts one without any connection but to itself.
    pub(super) fn start(name: &str) -> Result<Host> {
        let scratch = Scratch::new()?;
        let complaints = scratch.join("output");
        let mut command = clean_command("unshare");
        command
            .args(["--net", "--uts", "--mount", "--propagation", "private"])
            .args(["sh", "-c", SCRIPT, name])
            .arg(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints)?);
        let mut process = Process::spawn(name, command)?;
        let output = process.child().stdout.take();
        let mut said = String::new();
        BufReader::new(output.context("unshare has no output")?).read_line(&mut said)?;
        let complained = std::fs::read_to_string(complaints).unwrap_or_default();
        ensure!(
            said == "ready\n",
            "cannot make a network namespace, which only root can: {complained}"
        );
        Ok(Host {
            held: Arc::new(Held {
                process,
                _scratch: scratch,
            }),
        })
    }

    /// A process that is on it.
    pub(super) fn pid(&self) -> u32 {
        self.held.process.pid()
    }

    /// A client that runs on it as root. It gets to be this program, with the same process id, and
    /// starts in the root folder.
    pub fn client(&self, program: impl AsRef<OsStr>) -> Client {
        self.client_as(Who::Root, program)
    }

    /// The same, as this user.
    pub fn client_as(&self, who: Who, program: impl AsRef<OsStr>) -> Client {
        Client::new("nsenter")
            .args(self.entrance(who))
            .args([program])
    }

    /// A command that is to run here instead of on the machine itself, as root.
    pub(crate) fn bring(&self, command: &Command) -> Command {
        let mut brought = clean_command("nsenter");
        brought
            .args(self.entrance(Who::Root))
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => brought.env(name, value),
                None => brought.env_remove(name),
            };
        }
        brought
    }

    fn entrance(&self, who: Who) -> Vec<String> {
        let pid = self.pid();
        let mut words: Vec<String> = ["net", "uts", "mnt"]
            .iter()
            .zip(["--net", "--uts", "--mount"])
            .map(|(file, option)| format!("{option}=/proc/{pid}/ns/{file}"))
            .collect();
        if who == Who::Nobody {
            words.extend(["--setuid=65534", "--setgid=65534"].map(str::to_owned));
        }
        words.push("--".to_owned());
        words
    }

    /// Does `work` in a thread that is on this host's network. Sockets that are made there stay there.
    ///
    /// # Errors
    /// When the thread cannot go there, or the work panics.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid()))
            .context("cannot open a network namespace")?;
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET)
                    .context("cannot enter a network namespace")?;
                Ok(work())
            });
            worker
                .join()
                .map_err(|_| anyhow!("the work on another host panicked"))?
        })
    }

    /// A [`Stub`] on one of this host's addresses.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn stub<S>(&self, address: &str, port: u16, script: S) -> Result<Stub>
    where
        S: Fn(Wire, &Stop) -> Result<()> + Send + Sync + 'static,
    {
        let address = SocketAddr::new(address.parse()?, port);
        self.enter(|| Stub::start_on(address, script))?
    }

    /// A server that sends back what it receives.
    ///
    /// # Errors
    /// See [`Host::stub`].
    pub fn echo(&self, address: &str, port: u16) -> Result<Stub> {
        self.stub(address, port, |wire, _| {
            let mut stream: &TcpStream = wire.stream();
            // Clients may leave as they like.
            let _ = std::io::copy(&mut &*stream, &mut stream);
            Ok(())
        })
    }

    /// Whether somebody takes connections there, seen from this host.
    pub(super) fn reaches(&self, address: SocketAddr) -> bool {
        self.enter(|| TcpStream::connect_timeout(&address, GLANCE).is_ok())
            .unwrap_or(false)
    }

    /// Where a file of this host is on the machine itself. What is not below `/etc` is the same file.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let root = format!("/proc/{}/root", self.pid());
        let absolute = absolute.as_ref();
        Path::new(&root).join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// Writes a file below `/etc` for this host alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, absolute: &str, content: impl AsRef<[u8]>) -> Result<()> {
        ensure!(absolute.starts_with("/etc/"), "{absolute} is the machine's");
        std::fs::write(self.path(absolute), content)
            .with_context(|| format!("cannot write {absolute} of a host"))
    }

    /// Adds a user with a password, whom the daemons of this host can ask for it.
    ///
    /// # Errors
    /// When the files of users cannot be written, or openssl is not there.
    pub fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let hash = Client::new("openssl").args(["passwd", "-6", password]);
        let hash = hash.run()?.succeeded()?;
        self.append(
            "/etc/passwd",
            &format!("{name}:x:4711:65534::/nonexistent:/bin/sh\n"),
        )?;
        self.append(
            "/etc/shadow",
            &format!("{name}:{}:19000::::::\n", hash.trim()),
        )
    }

    fn append(&self, absolute: &str, line: &str) -> Result<()> {
        let path = self.path(absolute);
        let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
        file.write_all(line.as_bytes())
            .with_context(|| format!("cannot add a line to {absolute}"))
    }

    /// Gives ip(8) these commands.
    pub(super) fn ip(&self, commands: &str) -> Result<()> {
        let mut command = self.bring(Command::new("ip").args(["-batch", "-"]));
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run ip")?;
        let mut stdin = child.stdin.take().context("ip has no input")?;
        stdin.write_all(commands.as_bytes())?;
        drop(stdin);
        let ended = child.wait_with_output()?;
        let complaints = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "ip: {complaints}\n{commands}");
        Ok(())
    }
}
