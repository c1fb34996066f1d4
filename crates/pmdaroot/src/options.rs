//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short};
use lexopt::{Parser, ValueExt};
use pcp_env::{DebugOptions, UnknownDebugOption};

/// What `-?` prints.
pub(crate) const USAGE: &str = "\
Usage: pmdaroot [options]

The agent (PMDA) that runs as root: pmcd starts it, and collectors ask it for
what only root can do.

  -D LIST, --debug=LIST    turn these debugging options on (pmdbg -l lists them)
  -d N, --domain=N         the number of the agent's domain [default 1]
  -l FILE, --log=FILE      write the log there [default root.log]
  -s PATH, --socket=PATH   the unix socket for collectors
                           [default $PCP_VAR_DIR/pmcd/root.socket]
  -?, --help               show this message and exit
";

/// The agent's domain unless told otherwise.
const DOMAIN: u16 = 1;

/// The largest domain: nine bits of an identifier, of which the highest number means none.
const MAX_DOMAIN: u16 = 510;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) debug: DebugOptions,
    pub(crate) domain: u16,
    pub(crate) log: PathBuf,
    pub(crate) socket: Option<PathBuf>,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("-D: {0}")]
    Debug(#[from] UnknownDebugOption),
    #[error("-d {0:?}: not a domain, which is a number from 0 to {MAX_DOMAIN}")]
    Domain(String),
    #[error("-s: the path of the socket must not be empty")]
    NoSocket,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse<A>(arguments: A) -> Result<Options, OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let mut options = Options {
            help: false,
            debug: DebugOptions::default(),
            domain: DOMAIN,
            log: "root.log".into(),
            socket: None,
        };
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('?') | Long("help") => options.help = true,
                Short('D') | Long("debug") => {
                    options.debug.unite(parser.value()?.string()?.parse()?);
                }
                Short('d') | Long("domain") => {
                    let text = parser.value()?.string()?;
                    let number = text.parse().ok().filter(|number| *number <= MAX_DOMAIN);
                    options.domain = number.ok_or(OptionsError::Domain(text))?;
                }
                Short('l') | Long("log") => options.log = parser.value()?.into(),
                Short('s') | Long("socket") => {
                    let path = parser.value()?;
                    if path.is_empty() {
                        return Err(OptionsError::NoSocket);
                    }
                    options.socket = Some(path.into());
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pmcd_starts_it_with_its_domain_alone() {
        let options = Options::parse(["-d", "1"]).unwrap();
        assert_eq!(options, Options::parse::<[&str; 0]>([]).unwrap());
        assert_eq!((options.domain, options.socket), (1, None));
    }

    #[test]
    fn short_and_long_forms_mean_the_same() {
        let short = Options::parse(["-d7", "-l", "a", "-s", "b", "-Dattr"]).unwrap();
        let long = ["--domain=7", "--log=a", "--socket=b", "--debug=attr"];
        assert_eq!(short, Options::parse(long).unwrap());
        assert!(short.debug.has("attr") && !short.help);
        assert!(Options::parse(["-?"]).unwrap().help);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |arguments: &[&str]| Options::parse(arguments).unwrap_err().to_string();
        assert!(error(&["-d", "512"]).starts_with("-d \"512\": not a domain"));
        assert!(error(&["-s", ""]).starts_with("-s: the path"));
        assert!(error(&["-D", "nonsense"]).contains("nonsense"));
        assert!(error(&["-z"]).contains("-z"));
        assert!(error(&["stray"]).contains("stray"));
    }
}
