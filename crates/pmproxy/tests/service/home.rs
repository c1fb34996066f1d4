//! Where the tests start pmproxy: a folder with all that it reads and writes, on an address of its
//! own, so that no two tests meet.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use pcp_proto::greeting::{CLIENT_HELLO, SERVER_HELLO};
use pcp_proto::{ErrorPdu, Pdu, Status};
use testbed::{Client, Finished, PATIENCE, Running, Scratch, Stub, Wire, eventually};

/// What the log has before the rows of request ports.
const TABLE: &str = "pmproxy request port(s):\n";

/// A variable that tells a process's home; a daemon is known by it, wherever it went.
const MARK: &str = "HOME_OF_TEST";

/// A folder and an address for one pmproxy, or for several that get into each other's way.
///
/// When it is dropped, what was started in it is killed, daemons too.
pub(crate) struct Home {
    scratch: Scratch,
    address: SocketAddr,
}

impl Home {
    pub(crate) fn new() -> Result<Home> {
        let [a, b, c, d, e, ..] = RandomState::new().hash_one(()).to_ne_bytes();
        // Neither 127.0.0.1 nor a broadcast address.
        let host = Ipv4Addr::new(127, a, b | 1, c.clamp(1, 254));
        let port = 10_000 + u16::from_ne_bytes([d, e]) % 20_000;
        Ok(Home {
            scratch: Scratch::new()?,
            address: (host, port).into(),
        })
    }

    /// The address and the port of a pmproxy that [`Home::foreground`] starts.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        self.scratch.write(name, text)
    }

    /// Makes a folder that belongs to the user.
    pub(crate) fn folder_of(&self, name: &str, user: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir(&path)?;
        let user = User::from_name(user)?.with_context(|| format!("there is no user {user}"))?;
        chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        Ok(path)
    }

    /// What is in a file, or nothing when there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).unwrap_or_default()
    }

    /// `pmproxy -A` with more options, in this folder, which is also `PCP_RUN_DIR` and
    /// `PCP_SYSCONF_DIR` and may have a `tls.conf`.
    pub(crate) fn pmproxy<A>(&self, options: impl IntoIterator<Item = A>) -> Start<'_>
    where
        A: AsRef<OsStr>,
    {
        let options = options.into_iter().map(|option| option.as_ref().to_owned());
        Start {
            home: self,
            wrapper: Vec::new(),
            options: options.collect(),
            env: Vec::new(),
            log: "pmproxy.log".into(),
        }
    }

    /// The same in the foreground, on [`Home::address`].
    pub(crate) fn foreground(&self) -> Start<'_> {
        self.pmproxy(["-f"]).add(self.here())
    }

    /// The same as under a service manager.
    pub(crate) fn managed(&self) -> Start<'_> {
        self.pmproxy(["-F"]).add(self.here())
    }

    /// The options for [`Home::address`].
    pub(crate) fn here(&self) -> [String; 4] {
        let (host, port) = (
            self.address.ip().to_string(),
            self.address.port().to_string(),
        );
        ["-i".into(), host, "-p".into(), port]
    }

    /// The daemon that writes its id into a pid file.
    pub(crate) fn daemon(&self, pid_file: &str) -> Result<Daemon> {
        let mut pid = None;
        eventually(PATIENCE, format!("a process id in {pid_file}"), || {
            pid = self.read(pid_file).strip_suffix('\n').map(str::to_owned);
            pid.is_some()
        })
        .with_context(|| format!("log:\n{}", self.read("pmproxy.log")))?;
        Daemon::of(&pid.unwrap_or_default())
    }

    /// Every process that was started in this home and lives.
    fn inhabitants(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.scratch.path().display());
        let lives_here = |pid: &Pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        let Ok(processes) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
            .filter(lives_here)
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for pid in self.inhabitants() {
            // It may have ended by itself meanwhile.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// A pmproxy that is to be started.
pub(crate) struct Start<'a> {
    home: &'a Home,
    wrapper: Vec<OsString>,
    options: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    /// Where its log goes, in the folder.
    log: String,
}

impl<'a> Start<'a> {
    /// With more options.
    pub(crate) fn add<A: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = A>) -> Self {
        let options = options.into_iter().map(|option| option.as_ref().to_owned());
        self.options.extend(options);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Through a command that runs another, such as `setsid`.
    pub(crate) fn through<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let wrapper = wrapper.into_iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(wrapper);
        self
    }

    /// With `-l NAME` in the folder.
    pub(crate) fn log(mut self, name: &str) -> Self {
        self.log = name.into();
        self.add(["-l", name])
    }

    fn client(&self) -> Client {
        let folder = self.home.scratch.path();
        let mut client = Client::new("env")
            .args(["-C".as_ref(), folder.as_os_str()])
            .args(&self.wrapper)
            .args([env!("CARGO_BIN_EXE_pmproxy"), "-A"])
            .args(&self.options)
            .env(MARK, folder)
            .env("PCP_RUN_DIR", folder)
            .env("PCP_SYSCONF_DIR", folder)
            .env("PCP_TMP_DIR", folder)
            .env("PCP_TLSCONF_PATH", folder.join("tls.conf"));
        for (name, value) in &self.env {
            client = client.env(name, value);
        }
        client
    }

    /// Runs it to its end: a fatal error, or the start of a daemon.
    pub(crate) fn ends(self) -> Result<Finished> {
        self.client().run()
    }

    /// Expects a fatal error and gives what it says, through `-x`.
    pub(crate) fn fails(self) -> Result<String> {
        let messages = self.home.join("fatal");
        let _ = fs::remove_file(&messages);
        let ended = self.add(["-x".as_ref(), messages.as_os_str()]).ends()?;
        ensure!(ended.status.code() == Some(1), "not a fatal error: {ended}");
        let message = fs::read_to_string(&messages);
        message.with_context(|| format!("no message came through -x: {ended}"))
    }

    /// Starts it in the foreground.
    pub(crate) fn begins(self) -> Result<Guest<'a>> {
        let mut running = self.client().start()?;
        Ok(Guest {
            pid: running.process().pid(),
            running,
            home: self.home,
            log: self.log,
        })
    }

    /// Starts it in the foreground, waits until its log has the table of request ports, and gives
    /// it.
    pub(crate) fn up(self) -> Result<Guest<'a>> {
        let mut guest = self.begins()?;
        let mut ended = None;
        eventually(PATIENCE, "the table of request ports in the log", || {
            ended = guest.running.process().ended().ok().flatten();
            ended.is_some() || guest.table().is_some()
        })
        .with_context(|| guest.said())?;
        match ended {
            Some(status) => bail!("pmproxy ended with {status}\n{}", guest.said()),
            None => Ok(guest),
        }
    }
}

/// A pmproxy in the foreground.
pub(crate) struct Guest<'a> {
    pub(crate) pid: u32,
    running: Running,
    home: &'a Home,
    log: String,
}

impl Guest<'_> {
    /// Its log and its standard error.
    pub(crate) fn said(&self) -> String {
        self.home.read(&self.log) + &self.running.stderr()
    }

    /// What it has written to standard error.
    pub(crate) fn stderr(&self) -> String {
        self.running.stderr()
    }

    /// Waits until it has said something.
    pub(crate) fn says(&self, text: &str) -> Result<()> {
        eventually(PATIENCE, format!("«{text}»"), || {
            self.said().contains(text)
        })
        .with_context(|| self.said())
    }

    /// The rows of the table of request ports, once it is whole. An earlier pmproxy may have left
    /// its own.
    fn table(&self) -> Option<Vec<String>> {
        let said = self.said();
        let (_, said) = said.split_once(&format!("PID = {},", self.pid))?;
        let (_, table) = said.split_once(TABLE)?;
        let (rows, _) = table.split_once("\n\n")?;
        Some(rows.lines().skip(2).map(str::to_owned).collect())
    }

    /// The rows of the table of request ports in its log.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.table().unwrap_or_default()
    }

    /// The rows without the descriptors, as in `ok 44322 inet INADDR_ANY`.
    pub(crate) fn ports(&self) -> Vec<String> {
        let without_descriptor = |row: &String| {
            let words: Vec<&str> = row.split_whitespace().collect();
            [&words[..1], &words[2..]].concat().join(" ")
        };
        self.rows().iter().map(without_descriptor).collect()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.running.process().signal(signal)
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Result<Finished> {
        self.running.finish()
    }

    /// Sends it a signal and waits for its end.
    pub(crate) fn ends_on(mut self, signal: Signal) -> Result<Finished> {
        self.signal(signal)?;
        self.finish()
    }
}

/// A pmproxy that has left the process which started it.
pub(crate) struct Daemon {
    pub(crate) pid: i32,
}

impl Daemon {
    /// The daemon of a pid file.
    pub(crate) fn of(text: &str) -> Result<Daemon> {
        let pid = text.trim_end().parse();
        let pid = pid.with_context(|| format!("the process id is {text:?}"))?;
        Ok(Daemon { pid })
    }

    /// A field of `/proc/PID/status`.
    pub(crate) fn status(&self, field: &str) -> Result<String> {
        status_of(self.pid.cast_unsigned(), field)
    }

    /// What a link in `/proc/PID` points to.
    pub(crate) fn link(&self, name: &str) -> Result<PathBuf> {
        Ok(fs::read_link(format!("/proc/{}/{name}", self.pid))?)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&self) -> Result<()> {
        kill(Pid::from_raw(self.pid), Signal::SIGTERM)?;
        eventually(PATIENCE, "the daemon to end", || self.has_ended())
    }

    /// Whether it has ended. Whoever adopted it may not have noticed yet.
    fn has_ended(&self) -> bool {
        self.status("State")
            .map_or(true, |state| state.starts_with('Z'))
    }
}

/// A field of `/proc/PID/status`.
pub(crate) fn status_of(pid: u32, field: &str) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = value.with_context(|| format!("no {field} in {status}"))?;
    Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Fails unless the tests run as root: changing the user is root's alone.
pub(crate) fn needs_root() -> Result<()> {
    ensure!(Uid::effective().is_root(), "this test needs root");
    Ok(())
}

/// The name of the user that a file belongs to.
pub(crate) fn owner(path: &Path) -> Result<String> {
    let data = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    let user = User::from_uid(data.uid().into())?;
    Ok(user.map_or_else(|| data.uid().to_string(), |user| user.name))
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> Result<u32> {
    let data = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    Ok(data.mode() & 0o7777)
}

/// Whether a pmproxy answers there.
pub(crate) fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok_and(|stream| greets(stream).is_ok())
}

/// Expects pmproxy's greeting.
pub(crate) fn greets(mut stream: impl Read + Write) -> Result<()> {
    stream.write_all(CLIENT_HELLO)?;
    let mut hello = [0; SERVER_HELLO.len()];
    stream.read_exact(&mut hello)?;
    ensure!(hello == SERVER_HELLO, "greeted with {hello:?}");
    Ok(())
}

/// A session through the pmproxy at `address`, past the greeting of the pmcd.
pub(crate) fn session(address: SocketAddr, pmcd: &Stub) -> Result<Wire> {
    let mut wire = Wire::connect_to(address)?;
    greets(&**wire.stream())?;
    wire.send(format!("127.0.0.1 {}\n", pmcd.port()).as_bytes())?;
    let greeting = ErrorPdu::decode(&wire.receive_pdu()?)?;
    ensure!(greeting.status() == Status::OK, "greeted with {greeting:?}");
    Ok(wire)
}

/// Sends a PDU of `len` bytes through a session with [`echo`], and expects it back.
pub(crate) fn round_trip(wire: &mut Wire, len: u32) -> Result<()> {
    let pdu = pdu(len);
    wire.send(&pdu)?;
    ensure!(wire.receive(pdu.len())? == pdu, "another PDU came back");
    Ok(())
}

/// A PDU of `len` bytes, at least those of a header.
pub(crate) fn pdu(len: u32) -> Vec<u8> {
    let header = pcp_proto::PduHeader {
        len,
        pdu_type: pcp_proto::PduType::FETCH,
        from: 0,
    };
    let mut pdu = header.encode().to_vec();
    pdu.resize(len as usize, 7);
    pdu
}
