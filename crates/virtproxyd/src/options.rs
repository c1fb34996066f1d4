//! The command line, as in `virtproxyd(8)`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

/// What `-h` prints.
pub(crate) const USAGE: &str = "\
Usage: virtproxyd [options]

  -d, --daemon          leave the terminal and write the pid file
  -f, --config FILE     configuration file [default /etc/libvirt/virtproxyd.conf, or
                        $XDG_CONFIG_HOME/libvirt/virtproxyd.conf when not started by root]
  -h, --help            show this usage message and exit
  -p, --pid-file FILE   file for the process id [default /run/virtproxyd.pid, or
                        $XDG_RUNTIME_DIR/libvirt/virtproxyd.pid when not started by root]
  -t, --timeout SECONDS
                        end after this time without clients [default: never]
  -v, --verbose         log what is worth knowing, not only what goes wrong
  -V, --version         show the version and exit
";

/// What `--version` prints, in the form of libvirt's daemons. In brackets is the package that this
/// program belongs to: who asks must not take it for libvirt's own.
pub(crate) const VERSION: &str = concat!("virtproxyd (gatehouse) ", env!("CARGO_PKG_VERSION"));

/// The longest timeout, as for libvirt: in milliseconds it fits 31 bits.
const MOST_SECONDS: u64 = 2_147_483;

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) version: bool,
    /// `-d`
    pub(crate) daemon: bool,
    /// `-f`
    pub(crate) config: Option<PathBuf>,
    /// `-p`
    pub(crate) pid_file: Option<PathBuf>,
    /// `-t`; none for ever, which 0 stands for.
    pub(crate) timeout: Option<Duration>,
    /// `-v`
    pub(crate) verbose: bool,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("-t {0:?}: the timeout is a number of seconds from 0 to {MOST_SECONDS}")]
    Timeout(String),
    #[error("unexpected argument {0:?}: virtproxyd takes options only")]
    Operand(String),
    #[error("option {0} needs a value that is not empty")]
    Empty(&'static str),
    #[error("the current folder cannot be told: {}", gate::describe(.0))]
    NoFolder(std::io::Error),
}

impl Options {
    /// Reads the arguments after the program's name. Of an option that is given twice, the last counts.
    pub(crate) fn parse<A>(arguments: A) -> Result<Options, OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let mut options = Options::default();
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => options.help = true,
                Short('V') | Long("version") => options.version = true,
                Short('d') | Long("daemon") => options.daemon = true,
                Short('f') | Long("config") => options.config = Some(path(&mut parser, "-f")?),
                Short('p') | Long("pid-file") => options.pid_file = Some(path(&mut parser, "-p")?),
                Short('t') | Long("timeout") => options.timeout = timeout(&mut parser)?,
                Short('v') | Long("verbose") => options.verbose = true,
                Value(operand) => {
                    return Err(OptionsError::Operand(operand.to_string_lossy().into()));
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// A path, made absolute: a daemon leaves the folder in which it was started.
fn path(parser: &mut Parser, option: &'static str) -> Result<PathBuf, OptionsError> {
    let value = parser.value()?;
    if value.is_empty() {
        return Err(OptionsError::Empty(option));
    }
    std::path::absolute(value).map_err(OptionsError::NoFolder)
}

fn timeout(parser: &mut Parser) -> Result<Option<Duration>, OptionsError> {
    let seconds = parser.value()?.string()?;
    match seconds.parse() {
        Ok(0) => Ok(None),
        Ok(number @ ..=MOST_SECONDS) => Ok(Some(Duration::from_secs(number))),
        _ => Err(OptionsError::Timeout(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split_whitespace())
    }

    #[test]
    fn options_of_the_manual_page_are_known() {
        let options = parse("-d -f conf -p pid -t 30 -v").unwrap();
        let expected = Options {
            daemon: true,
            config: Some(std::path::absolute("conf").unwrap()),
            pid_file: Some(std::path::absolute("pid").unwrap()),
            timeout: Some(Duration::from_secs(30)),
            verbose: true,
            ..Options::default()
        };
        assert_eq!(options, expected);
        for same in [
            "--daemon --config conf --pid-file pid --timeout 30 --verbose",
            "--daemon --config=conf --pid-file=pid --timeout=30 --verbose",
            "-dvfconf -ppid -t30",
            "-f other -dv -t 5 -f conf -p pid -t 30",
        ] {
            assert_eq!(parse(same).unwrap(), expected, "{same}");
        }
        assert!(parse("-h").unwrap().help && parse("--help").unwrap().help);
        assert!(parse("-V").unwrap().version && parse("--version").unwrap().version);
    }

    #[test]
    fn a_timeout_of_zero_is_none() {
        assert_eq!(parse("-t 0").unwrap().timeout, None);
        assert_eq!(parse("-t 5 -t 0").unwrap().timeout, None);
        let most = Duration::from_secs(MOST_SECONDS);
        assert_eq!(parse("-t 2147483").unwrap().timeout, Some(most));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |line: &str| parse(line).unwrap_err().to_string();
        for seconds in ["-1", "soon", "2147484", "99999999999999999999", "1.5"] {
            let expected =
                format!("-t {seconds:?}: the timeout is a number of seconds from 0 to 2147483");
            assert_eq!(error(&format!("--timeout={seconds}")), expected);
        }
        assert_eq!(error("-x"), "invalid option '-x'");
        assert_eq!(error("--listen"), "invalid option '--listen'");
        assert_eq!(error("-f"), "missing argument for option '-f'");
        assert_eq!(
            error("--config="),
            "option -f needs a value that is not empty"
        );
        assert!(error("--daemon=yes").contains("unexpected argument"));
        assert_eq!(
            error("start"),
            "unexpected argument \"start\": virtproxyd takes options only"
        );
    }
}
