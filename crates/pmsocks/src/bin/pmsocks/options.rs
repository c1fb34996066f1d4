//! The command line.

use std::ffi::OsString;
use std::str::FromStr;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};
use pmsocks_common::split_port;

/// What `--help` prints, and what is said when there is nothing to run.
pub(crate) const USAGE: &str = "\
Usage: pmsocks [--mode auto|preload|supervise] path [args ...]
       pmsocks --check HOST[:PORT]

Runs the program at path so that its TCP connections go through SOCKS servers,
as /etc/pcp_socks.conf has it.

  -m, --mode MODE   how to get between the program and the network: preload (a
                    library, for dynamically linked programs), supervise (for
                    every other), or auto [default], which looks at the program
  -c, --check HOST[:PORT]
                    say which line of the configuration decides on connections
                    to HOST, and try one [default port 44321, pmcd's]
  -V, --version     show the version and exit
  -?, --help        show this message and exit

Environment:
  SOCKS_SERVER          the SOCKS server where the configuration names none
  SOCKS_PORT            its port [default 1080]
  SOCKS_VERSION         4, 4a or 5 [default: 5, then 4]
  SOCKS_USER, SOCKS_PASSWORD
                        what to say to servers that ask for a password
  SOCKS_NS              the name server that knows the names of SOCKS servers
  SOCKS_DEBUG           if set, say on stderr what is done
  SOCKS_BANNER          if set, say on stdout which version is at work
  PMCD_CONNECT_TIMEOUT  how many seconds a connection may take [default 5]
  PCP_SOCKS_CONF        the configuration [default /etc/pcp_socks.conf]
";

/// Port of pmcd, which is what is usually behind the firewall.
const PMCD_PORT: u16 = 44321;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Help,
    Version,
    Check(Goal),
    Run(Call),
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) mode: Mode,
    pub(crate) program: OsString,
    /// Without its name.
    pub(crate) arguments: Vec<OsString>,
    /// What it is to take for its name, if that is not what it is found by. The library says so, which
    /// calls pmsocks for what a program executes and it cannot serve.
    pub(crate) name: Option<OsString>,
}

/// How to get between the program and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Auto,
    Preload,
    Supervise,
}

/// Where `--check` tries to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("--mode {0:?}: not a mode, which is auto, preload or supervise")]
    Mode(String),
    #[error("--check {0:?}: not a host, or a host and a port such as [2001:db8::1]:44321")]
    Goal(String),
    #[error("--check runs no program, so {0:?} has no place behind it")]
    CheckAndRun(OsString),
    #[error("there is no program to run")]
    NoProgram,
}

impl Order {
    /// Reads the arguments after pmsocks' own name. What follows the program's path is the program's.
    pub(crate) fn parse<A>(arguments: A) -> Result<Order, OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let mut parser = Parser::from_args(arguments);
        let mut mode = Mode::Auto;
        let mut goal = None;
        let mut name = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Short('?' | 'h') | Long("help") => return Ok(Order::Help),
                Short('V') | Long("version") => return Ok(Order::Version),
                Short('m') | Long("mode") => mode = parser.value()?.string()?.parse()?,
                Long("argv0") => name = Some(parser.value()?),
                Short('c') | Long("check") => {
                    goal = Some(parser.value()?.string()?.parse::<Goal>()?);
                }
                Value(program) if goal.is_some() => return Err(OptionsError::CheckAndRun(program)),
                Value(program) => {
                    return Ok(Order::Run(Call {
                        mode,
                        program,
                        arguments: parser.raw_args()?.collect(),
                        name,
                    }));
                }
                other => return Err(other.unexpected().into()),
            }
        }
        goal.map(Order::Check).ok_or(OptionsError::NoProgram)
    }
}

impl FromStr for Mode {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Mode, OptionsError> {
        match text {
            "auto" => Ok(Mode::Auto),
            "preload" => Ok(Mode::Preload),
            "supervise" => Ok(Mode::Supervise),
            _ => Err(OptionsError::Mode(text.to_owned())),
        }
    }
}

impl FromStr for Goal {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Goal, OptionsError> {
        let wrong = || OptionsError::Goal(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let port = match port {
            Some(digits) => digits.parse().ok().filter(|port| *port != 0),
            None => Some(PMCD_PORT),
        };
        Ok(Goal {
            host: host.to_owned(),
            port: port.ok_or_else(wrong)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(host: &str, port: u16) -> Order {
        Order::Check(Goal {
            host: host.to_owned(),
            port,
        })
    }

    fn call<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Call {
        match Order::parse(arguments).unwrap() {
            Order::Run(call) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_follows_the_path_belongs_to_the_program() {
        let call = call(["--mode", "preload", "pminfo", "--mode", "-h", "--"]);
        assert_eq!(call.mode, Mode::Preload);
        assert_eq!(call.program, "pminfo");
        assert_eq!(call.arguments, ["--mode", "-h", "--"]);
        assert_eq!(call.name, None);
    }

    #[test]
    fn a_program_may_have_a_name_like_an_option() {
        assert_eq!(call(["--", "--check", "x"]).program, "--check");
    }

    #[test]
    fn a_program_may_have_another_name_than_its_file() {
        let call = call(["--mode", "supervise", "--argv0", "-sh", "/bin/sh", "-c"]);
        assert_eq!(call.name.unwrap(), "-sh");
        assert_eq!(call.arguments, ["-c"]);
    }

    #[test]
    fn arguments_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe").to_owned();
        assert_eq!(call([OsString::from("true"), odd.clone()]).arguments, [odd]);
    }

    #[test]
    fn a_goal_is_a_host_with_pmcd_s_port_or_another() {
        for (text, expected) in [
            ("moon", goal("moon", 44321)),
            ("moon:80", goal("moon", 80)),
            ("10.1.2.3:80", goal("10.1.2.3", 80)),
            ("2001:db8::1", goal("2001:db8::1", 44321)),
            ("[2001:db8::1]", goal("2001:db8::1", 44321)),
            ("[2001:db8::1]:80", goal("2001:db8::1", 80)),
        ] {
            assert_eq!(Order::parse(["--check", text]).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_goal_is_named() {
        for text in [
            "",
            ":80",
            "moon:",
            "moon:0",
            "moon:70000",
            "[::1",
            "[::1]80",
            "a b",
        ] {
            let error = Order::parse(["--check", text]).unwrap_err();
            assert!(matches!(error, OptionsError::Goal(named) if named == text));
        }
    }

    #[test]
    fn nothing_to_do_is_an_error() {
        assert!(matches!(
            Order::parse([""; 0]),
            Err(OptionsError::NoProgram)
        ));
        let error = Order::parse(["--mode", "magic", "true"]).unwrap_err();
        assert!(error.to_string().contains("magic"));
        let error = Order::parse(["--check", "moon", "true"]).unwrap_err();
        assert!(error.to_string().contains("true"));
        assert!(Order::parse(["--frobnicate", "true"]).is_err());
    }
}
