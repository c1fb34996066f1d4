//! The command line of `collector`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lexopt::Arg::{Long, Short};
use lexopt::{Parser, ValueExt};
use pcp_proto::PMCD_PORT;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: collector [options]

A small pmcd: serves a dozen metrics of this machine to clients of Performance
Co-Pilot until it gets SIGTERM or SIGINT, or the process that started it ends.
Once it is ready it prints one line, `collector: listening on ADDRESS:PORT`.

  -i ADDR, --interface=ADDR   listen on this address [default 127.0.0.1]
  -p PORT, --port=PORT        listen on this port; 0 takes a free one [default 44321]
  -H NAME, --hostname=NAME    what the metric pmcd.hostname says [default the kernel's name]
  -h, -?, --help              show this message and exit
  -V, --version               show the version and exit
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Version,
    Serve(Options),
}

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) host_name: Option<String>,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("-i {0:?}: not an IPv4 or IPv6 address")]
    Address(String),
    #[error("-p {0:?}: not a port number from 0 to 65535")]
    Port(String),
    #[error("-H: the host name must not be empty")]
    NoName,
}

impl Request {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse<A>(arguments: A) -> Result<Request, OptionsError>
    where
        A: IntoIterator<Item: Into<OsString>>,
    {
        let (mut address, mut port) = (IpAddr::from(Ipv4Addr::LOCALHOST), PMCD_PORT);
        let mut host_name = None;
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h' | '?') | Long("help") => return Ok(Request::Help),
                Short('V') | Long("version") => return Ok(Request::Version),
                Short('i') | Long("interface") => {
                    let text = parser.value()?.string()?;
                    address = text.parse().map_err(|_| OptionsError::Address(text))?;
                }
                Short('p') | Long("port") => {
                    let text = parser.value()?.string()?;
                    port = text.parse().map_err(|_| OptionsError::Port(text))?;
                }
                Short('H') | Long("hostname") => {
                    let text = parser.value()?.string()?;
                    if text.is_empty() {
                        return Err(OptionsError::NoName);
                    }
                    host_name = Some(text);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(Request::Serve(Options {
            address: SocketAddr::new(address, port),
            host_name,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, String> {
        match Request::parse(arguments) {
            Ok(Request::Serve(options)) => Ok(options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn without_options_it_is_the_pmcd_of_this_machine() {
        let options = options(&[]).unwrap();
        assert_eq!(options.address.to_string(), "127.0.0.1:44321");
        assert_eq!(options.host_name, None);
    }

    #[test]
    fn short_and_long_forms_mean_the_same() {
        let short = options(&["-i", "::1", "-p0", "-H", "alpha"]).unwrap();
        let long = options(&["--interface=::1", "--port=0", "--hostname=alpha"]).unwrap();
        assert_eq!(short, long);
        assert_eq!(short.address.to_string(), "[::1]:0");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |arguments: &[&str]| Request::parse(arguments).unwrap_err().to_string();
        assert_eq!(error(&["-i", "x"]), "-i \"x\": not an IPv4 or IPv6 address");
        assert_eq!(
            error(&["-p", "65536"]),
            "-p \"65536\": not a port number from 0 to 65535"
        );
        assert_eq!(error(&["-H", ""]), "-H: the host name must not be empty");
        assert!(error(&["stray"]).contains("stray"));
        assert!(error(&["-z"]).contains("-z"));
    }
}
