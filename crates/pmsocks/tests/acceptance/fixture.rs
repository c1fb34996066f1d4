//! A firewall, and `pmsocks` on the host inside of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use testbed::{
    Client, Conduct, Finished, Firewall, Linkage, NetProgram, Pmcd, Scratch, SocksStub, Stub, Who,
};

/// The routes of tests that say nothing about routes.
pub(crate) const EVERYWHERE: &str = "direct LOCALHOSTNAME\nsockd 0.0.0.0 0.0.0.0\n";

/// The port of the server that sends back what it gets.
pub(crate) const ECHO: &str = "7";

/// Where programs are: those of Debian, whatever else the user of the tests has.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) who: Who,
    pub(crate) mode: &'static str,
}

/// Every way that works for a dynamically linked program.
pub(crate) const WAYS: [Way; 4] = [
    Way {
        who: Who::Root,
        mode: "preload",
    },
    Way {
        who: Who::Nobody,
        mode: "preload",
    },
    Way {
        who: Who::Root,
        mode: "supervise",
    },
    Way {
        who: Who::Nobody,
        mode: "supervise",
    },
];

/// One of each mode, for what has nothing to do with rights.
pub(crate) const MODES: [Way; 2] = [WAYS[1], WAYS[3]];

/// What every test has.
pub(crate) struct Bed {
    pub(crate) wall: Firewall,
    scratch: Scratch,
}

impl Bed {
    /// A firewall without servers, and the programs with their library where everybody may run them.
    pub(crate) fn new() -> Bed {
        let scratch = Scratch::new().unwrap();
        scratch.share().unwrap();
        let bed = Bed {
            wall: Firewall::new().unwrap(),
            scratch,
        };
        bed.install(Path::new(env!("CARGO_BIN_EXE_pmsocks")));
        bed.install(Path::new(env!("CARGO_BIN_EXE_pmsocks-connect")));
        bed.install(&library());
        bed.routes(EVERYWHERE);
        bed
    }

    fn install(&self, file: &Path) {
        let place = self.scratch.join(file.file_name().unwrap());
        // The other file system of a temporary folder wants a copy.
        if fs::hard_link(file, &place).is_err() {
            fs::copy(file, &place).unwrap();
        }
    }

    /// Writes a file that belongs to root and that everybody may read.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.scratch.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// A folder that everybody may write to.
    pub(crate) fn open_folder(&self, name: &str) -> PathBuf {
        let path = self.scratch.folder(name).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        path
    }

    /// The path of a file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The configuration from now on.
    pub(crate) fn routes(&self, text: impl AsRef<[u8]>) -> PathBuf {
        self.write("pcp_socks.conf", text)
    }

    /// `pmsocks` as it is typed, on the host inside.
    pub(crate) fn pmsocks(&self, who: Who, words: &[&str]) -> Client {
        let program = self.scratch.join("pmsocks");
        self.configured(self.wall.inside().client_as(who, program))
            .args(words)
    }

    fn configured(&self, client: Client) -> Client {
        client
            .env("PATH", PATH)
            .env("PCP_SOCKS_CONF", self.scratch.join("pcp_socks.conf"))
            .env("SOCKS_SERVER", Firewall::GATE)
            // A busy machine may take longer than the usual 5 s.
            .env("PMCD_CONNECT_TIMEOUT", "20")
    }

    /// A program with the library, but without `pmsocks`.
    pub(crate) fn with_library_alone(&self, who: Who, words: &[&str]) -> Client {
        let library = library();
        let place = self.scratch.join(library.file_name().unwrap());
        let preload = format!("LD_PRELOAD={}", place.display());
        let client = self.wall.inside().client_as(who, "env").args([preload]);
        self.configured(client).args(words)
    }

    /// A program that is run through `pmsocks`.
    pub(crate) fn through(&self, way: Way, words: &[&str]) -> Client {
        self.pmsocks(way.who, &["--mode", way.mode]).args(words)
    }

    /// A server outside that sends back what it gets, at [`ECHO`].
    pub(crate) fn echo(&self) -> Stub {
        self.echo_at(Firewall::OUTSIDE, 7)
    }

    /// The same elsewhere outside.
    pub(crate) fn echo_at(&self, address: &str, port: u16) -> Stub {
        self.wall.outside().echo(address, port).unwrap()
    }

    /// A pmcd outside whose metric `pmcd.hostname` says `alpha`.
    pub(crate) fn pmcd(&self) -> Pmcd {
        Pmcd::builder("alpha")
            .on(self.wall.outside())
            .start()
            .unwrap()
    }

    /// A SOCKS server of this conduct, where `SOCKS_SERVER` points to.
    pub(crate) fn stub(&self, conduct: Conduct) -> SocksStub {
        self.stub_at(Firewall::GATE, 1080, conduct)
    }

    /// The same elsewhere on the firewall.
    pub(crate) fn stub_at(&self, address: &str, port: u16, conduct: Conduct) -> SocksStub {
        SocksStub::start(self.wall.gate(), address, port, conduct).unwrap()
    }
}

/// The library, which cargo has put beside the tests that depend on it.
fn library() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.set_file_name("libpmsocks_preload.so");
    assert!(path.exists(), "there is no {}", path.display());
    path
}

/// The program that tells what it sees, as words of a command line.
pub(crate) struct Caller(NetProgram);

impl Caller {
    pub(crate) fn new(linkage: Linkage) -> Caller {
        Caller(NetProgram::make(linkage).unwrap())
    }

    /// This command of it through `pmsocks`, to the echo server outside.
    pub(crate) fn echo(&self, bed: &Bed, way: Way, command: &[&str]) -> Client {
        self.to(bed, way, Firewall::OUTSIDE, command)
    }

    /// The same to another address or name.
    pub(crate) fn to(&self, bed: &Bed, way: Way, host: &str, command: &[&str]) -> Client {
        let path = self.0.path();
        let (name, more) = command.split_first().unwrap();
        bed.through(way, &[path.to_str().unwrap(), name, host, ECHO])
            .args(more)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path()
    }
}

/// What a program printed, line by line; all must have gone well.
pub(crate) fn lines(client: &Client) -> Vec<String> {
    let shown = client.run().unwrap().succeeded().unwrap();
    shown.lines().map(str::to_owned).collect()
}

/// The lines of `pmsocks` on standard error.
pub(crate) fn told(finished: &Finished) -> String {
    let lines = finished.stderr.lines();
    let ours: Vec<&str> = lines.filter(|line| line.starts_with("pmsocks: ")).collect();
    ours.join("\n")
}

/// Fails unless one line of `pmsocks` has all these words.
pub(crate) fn assert_told(finished: &Finished, words: &[&str]) {
    let has_all = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(
        told(finished).lines().any(has_all),
        "no line with {words:?}: {finished}"
    );
}
