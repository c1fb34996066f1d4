//! The command line, as in `pmproxy(1)`.

use std::ffi::OsString;
use std::mem::take;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};
use pcp_env::{DebugOptions, PortSet, parse_interval};
use pcp_proto::PduLimit;

use crate::boot_files::{BootFileError, read_options};

/// What `-?` prints.
pub(crate) const USAGE: &str = "\
Usage: pmproxy [options]

General options:
  -?, --help            show this usage message and exit

Service options:
  -A                    disable service advertisement
  -f, --foreground      run in the foreground
  -F, --managed, --systemd
                        run under a service manager: in the foreground, with pid file and change of user
  -U USER, --username=USER
                        run as this user [default pcp, when a daemon is started by root]

Configuration options:
  -c FILE, --config=FILE
                        configuration file [default $PCP_SYSCONF_DIR/pmproxy/pmproxy.conf]
  --check-config        check the configuration file and exit
  --client=ADDR, --target=HOST:PORT
                        with --check-config: what this client (an address, or uid:NUMBER for one on
                        the unix socket) would get that asks for this pmcd
  --status              show the clients of the pmproxy that runs, and exit
  --json                with --status: as JSON
  --options-file=FILE   more options: the lines of this file that begin with a hyphen
  --environment-file=FILE
                        more environment: the lines PMPROXY_NAME=value of this file, if it exists
  -L BYTES              maximum size of PDUs from clients, 12 to 2147483647 [default 65536]

Connection options:
  -i ADDR, --interface=ADDR
                        accept connections on this address only; may be repeated
  -p PORT[,PORT ...], --port=PORT[,PORT ...]
                        accept connections on these ports [default 44322]; may be repeated
  -s PATH, --socket=PATH
                        unix domain socket [default $PCP_RUN_DIR/pmproxy.socket]

Secure connection options:
  -C DIR                certificate database folder [default /etc/pki/nssdb]
  -M NAME               certificate name [default \"PCP Collector certificate\"]
  -P FILE               file with the certificate database password
  -Q                    require a trusted certificate from clients that are not local
  -S                    require clients to authenticate themselves

Diagnostic options:
  -D OPTIONS, --debug=OPTIONS
                        debugging options, comma-separated; context traces clients [pmdbg -l lists all]
  -T TIME               end after this time, such as 90 (seconds), 10min or 1hour 30mins
  -l FILE, --log=FILE   log file [default pmproxy.log in the current folder]
  -x FILE               fatal messages before the log is open go here [default /dev/tty]

Accepted for the sake of existing option files, without effect:
  -d, --deprecated   -t, --timeseries   -h HOST, --redishost=HOST   -r PORT, --redisport=PORT
";

/// How the process is to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It leaves the terminal.
    #[default]
    Daemon,
    /// `-f`: it stays in the foreground, as whoever started it.
    Foreground,
    /// `-F`: it stays in the foreground, but changes user and writes a pid file.
    Managed,
}

/// What `--check-config` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) check_config: bool,
    /// `--client`, as written
    pub(crate) client: Option<String>,
    /// `--target`, as written
    pub(crate) target: Option<String>,
}

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) question: Question,
    pub(crate) status: bool,
    /// `--json`, which needs `--status`
    pub(crate) json: bool,
    pub(crate) mode: Mode,
    /// `-A`
    pub(crate) no_advertisement: bool,
    /// `-c`
    pub(crate) config: Option<PathBuf>,
    /// `-D`
    pub(crate) debug: DebugOptions,
    /// `-i`, as written
    pub(crate) interfaces: Vec<String>,
    /// `-l`
    pub(crate) log: Option<PathBuf>,
    /// `-L`
    pub(crate) pdu_limit: Option<PduLimit>,
    /// `-p`
    pub(crate) ports: PortSet,
    /// `-s`
    pub(crate) socket: Option<PathBuf>,
    /// `-U`
    pub(crate) user: Option<String>,
    /// `-T`
    pub(crate) run_time: Option<Duration>,
    /// `--options-file`, from which the other options are complete already
    options_file: Option<PathBuf>,
    /// `--environment-file`
    pub(crate) environment_file: Option<PathBuf>,
    /// `-x`
    pub(crate) fatal_messages: Option<PathBuf>,
    /// `-C`
    pub(crate) certificate_database: Option<PathBuf>,
    /// `-M`
    pub(crate) certificate_name: Option<String>,
    /// `-P`
    pub(crate) password_file: Option<PathBuf>,
    /// `-Q`
    pub(crate) require_certificates: bool,
    /// `-S`
    pub(crate) require_authentication: bool,
    /// Options that were given although they have no effect.
    pub(crate) without_effect: Vec<&'static str>,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("-L {0:?}: the maximum PDU size is a number of bytes from 12 to 2147483647")]
    PduLimit(String),
    #[error("-p {list:?}: {source}")]
    Ports {
        list: String,
        source: pcp_env::PortSetError,
    },
    #[error("-D {list:?}: {source}")]
    Debug {
        list: String,
        source: pcp_env::UnknownDebugOption,
    },
    #[error("at most one of -f and -F may be given")]
    TwoModes,
    #[error("--json needs --status")]
    JsonOfNothing,
    #[error("-T {0}")]
    RunTime(#[from] pcp_env::IntervalError),
    #[error(transparent)]
    OptionsFile(#[from] BootFileError),
    #[error("{}:{line}: {error}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        error: Box<OptionsError>,
    },
    #[error("a file of options cannot name another (--options-file)")]
    NestedFile,
    #[error("unexpected argument {0:?}: pmproxy takes options only")]
    Operand(String),
    #[error("option {0} needs a value that is not empty")]
    Empty(&'static str),
}

impl OptionsError {
    /// Whether a look at the usage helps.
    pub(crate) fn is_about_usage(&self) -> bool {
        !matches!(
            self,
            OptionsError::OptionsFile(_) | OptionsError::Line { .. }
        )
    }
}

impl Options {
    /// Reads the arguments after the program's name, and then the file of options, if they name one.
    pub(crate) fn parse<A>(arguments: A) -> Result<Options, OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let mut options = Options::default();
        options.add(arguments)?;
        if let Some(path) = options.options_file.clone() {
            for line in read_options(&path)? {
                options
                    .add_line(line.words)
                    .map_err(|error| OptionsError::Line {
                        path: path.clone(),
                        line: line.number,
                        error: error.into(),
                    })?;
            }
        }
        if options.json && !options.status {
            return Err(OptionsError::JsonOfNothing);
        }
        Ok(options)
    }

    /// Adds a line of the file of options. How the process is to live is its starter's to say: the
    /// file of a C pmproxy may have `-f` in it, which its init script leaves out.
    fn add_line(&mut self, words: Vec<String>) -> Result<(), OptionsError> {
        let (mode, file) = (take(&mut self.mode), self.options_file.take());
        self.add(words)?;
        if self.options_file.is_some() {
            return Err(OptionsError::NestedFile);
        }
        (self.mode, self.options_file) = (mode, file);
        Ok(())
    }

    fn add<A>(&mut self, arguments: A) -> Result<(), OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let options = self;
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('?') | Long("help") => options.help = true,
                Long("check-config") => options.question.check_config = true,
                Long("client") => options.question.client = Some(text(&mut parser, "--client")?),
                Long("target") => options.question.target = Some(text(&mut parser, "--target")?),
                Long("status") => options.status = true,
                Long("json") => options.json = true,
                Short('A') => options.no_advertisement = true,
                Short('f') | Long("foreground") => options.set_mode(Mode::Foreground)?,
                Short('F') | Long("managed" | "systemd") => options.set_mode(Mode::Managed)?,
                Short('c') | Long("config") => options.config = Some(path(&mut parser, "-c")?),
                Short('D') | Long("debug") => options.add_debug(text(&mut parser, "-D")?)?,
                Short('i') | Long("interface") => {
                    options.interfaces.push(text(&mut parser, "-i")?);
                }
                Short('l') | Long("log") => options.log = Some(path(&mut parser, "-l")?),
                Short('L') => options.pdu_limit = Some(pdu_limit(text(&mut parser, "-L")?)?),
                Short('p') | Long("port") => options.add_ports(text(&mut parser, "-p")?)?,
                Short('s') | Long("socket") => options.socket = Some(path(&mut parser, "-s")?),
                Long("options-file") => {
                    options.options_file = Some(path(&mut parser, "--options-file")?);
                }
                Long("environment-file") => {
                    options.environment_file = Some(path(&mut parser, "--environment-file")?);
                }
                Short('T') => {
                    options.run_time = Some(parse_interval(&text(&mut parser, "-T")?)?);
                }
                Short('U') | Long("username") => options.user = Some(text(&mut parser, "-U")?),
                Short('x') => options.fatal_messages = Some(path(&mut parser, "-x")?),
                Short('C') => options.certificate_database = Some(path(&mut parser, "-C")?),
                Short('M') => options.certificate_name = Some(text(&mut parser, "-M")?),
                Short('P') => options.password_file = Some(path(&mut parser, "-P")?),
                Short('Q') => options.require_certificates = true,
                Short('S') => options.require_authentication = true,
                Short('d') | Long("deprecated") => options.without_effect.push("-d"),
                Short('t') | Long("timeseries") => options.without_effect.push("-t"),
                Short('h') | Long("redishost") => {
                    parser.value()?;
                    options.without_effect.push("-h");
                }
                Short('r') | Long("redisport") => {
                    parser.value()?;
                    options.without_effect.push("-r");
                }
                Value(operand) => {
                    return Err(OptionsError::Operand(operand.to_string_lossy().into()));
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(())
    }

    fn set_mode(&mut self, mode: Mode) -> Result<(), OptionsError> {
        if self.mode != Mode::Daemon && self.mode != mode {
            return Err(OptionsError::TwoModes);
        }
        self.mode = mode;
        Ok(())
    }

    fn add_ports(&mut self, list: String) -> Result<(), OptionsError> {
        let ports = list
            .parse()
            .map_err(|source| OptionsError::Ports { list, source })?;
        self.ports.unite(ports);
        Ok(())
    }

    fn add_debug(&mut self, list: String) -> Result<(), OptionsError> {
        let debug = list
            .parse()
            .map_err(|source| OptionsError::Debug { list, source })?;
        self.debug.unite(debug);
        Ok(())
    }
}

fn text(parser: &mut Parser, option: &'static str) -> Result<String, OptionsError> {
    let value = parser.value()?.string()?;
    if value.is_empty() {
        Err(OptionsError::Empty(option))
    } else {
        Ok(value)
    }
}

fn path(parser: &mut Parser, option: &'static str) -> Result<PathBuf, OptionsError> {
    let value = parser.value()?;
    if value.is_empty() {
        Err(OptionsError::Empty(option))
    } else {
        Ok(value.into())
    }
}

fn pdu_limit(bytes: String) -> Result<PduLimit, OptionsError> {
    bytes
        .parse()
        .ok()
        .and_then(PduLimit::new)
        .ok_or(OptionsError::PduLimit(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split_whitespace())
    }

    #[test]
    fn options_of_the_manual_page_are_known() {
        let line = "-A -C /certs -f -i 10.0.0.1 -i ::1 -l x.log -L 4096 -M name -p 1,2 -p 3 -P pw \
                    -Q -S -U nobody -x fatal -c conf -D context -s sock";
        let options = parse(line).unwrap();
        assert!(options.no_advertisement);
        assert!(options.require_certificates && options.require_authentication);
        assert_eq!(options.mode, Mode::Foreground);
        assert_eq!(options.interfaces, ["10.0.0.1", "::1"]);
        assert_eq!(options.pdu_limit.map(PduLimit::bytes), Some(4096));
        assert_eq!(options.ports.iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(options.debug.has("context"));
        let long = "-A -C /certs --foreground --interface=10.0.0.1 --interface ::1 --log=x.log \
                    -L4096 -M name --port=1,2 --port 3 -Ppw -QS --username=nobody -xfatal \
                    --config=conf --debug=context --socket=sock";
        assert_eq!(parse(long).unwrap(), options);
    }

    #[test]
    fn options_of_today_that_have_no_effect_are_accepted_and_remembered() {
        let options = parse("-d -t -h redis.example -r 6379").unwrap();
        assert_eq!(options.without_effect, ["-d", "-t", "-h", "-r"]);
    }

    #[test]
    fn lines_of_the_options_file_are_added_but_the_starter_decides_about_the_foreground() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("options");
        let file = format!("--options-file={}", path.display());
        std::fs::write(&path, "# -A\n-p 2\n-f\n-M 'my name' -T 1hour\n").unwrap();
        let options = Options::parse(["-F", &file, "-p1"]).unwrap();
        assert_eq!(options.mode, Mode::Managed);
        assert_eq!(options.ports.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(options.certificate_name.as_deref(), Some("my name"));
        assert_eq!(options.run_time, Some(Duration::from_secs(3_600)));
        assert!(!options.no_advertisement);

        std::fs::write(&path, format!("-A\n{file}\n")).unwrap();
        let error = Options::parse([&file]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(":2: a file of options cannot name another (--options-file)")
        );
        std::fs::write(&path, "-p x\n").unwrap();
        let error = Options::parse([&file]).unwrap_err();
        assert!(!error.is_about_usage());
        let expected = format!("{}:1: -p \"x\": \"x\" is not a port", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |line: &str| parse(line).unwrap_err().to_string();
        assert!(error("-L 11").starts_with("-L \"11\": the maximum PDU size"));
        assert!(error("-L 64k").starts_with("-L \"64k\""));
        assert_eq!(
            error("-p 44322,x"),
            "-p \"44322,x\": \"x\" is not a port number from 1 to 65535"
        );
        assert!(error("-D contxt").contains("is not a debugging option"));
        assert!(error("-T soon").starts_with("-T \"soon\" is not an interval above 0"));
        assert_eq!(error("-f -F"), "at most one of -f and -F may be given");
        assert_eq!(
            error("start"),
            "unexpected argument \"start\": pmproxy takes options only"
        );
        assert_eq!(error("--json"), "--json needs --status");
        assert_eq!(error("-Z"), "invalid option '-Z'");
        assert_eq!(error("-p"), "missing argument for option '-p'");
    }
}
