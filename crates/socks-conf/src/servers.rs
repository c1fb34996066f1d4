//! The SOCKS servers of `@=serverlist` and of `SOCKS_SERVER`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socks_proto::Version;

use crate::Problem;
use crate::destination::is_name;

/// A SOCKS server: `host[:port][;version=4|4a|5][;credentials=/path]`, with an IPv6 address in
/// brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or its address (without brackets).
    pub host: String,
    /// Its port, never 0; `None`: the default port.
    pub port: Option<u16>,
    /// What it speaks; `None`: to be found out.
    pub version: Option<Version>,
    /// The full path of the file with the user and the password for it.
    pub credentials: Option<PathBuf>,
}

/// A text that names no SOCKS server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Neither a name nor an address.
    #[error("{0:?} is neither the name nor the address of a SOCKS server")]
    Host(String),
    /// An IPv6 address whose last part could as well be a port.
    #[error("{0:?}: an IPv6 address is written in brackets, as in [2001:db8::1]:1080")]
    Brackets(String),
    /// Not a port to connect to.
    #[error("{0:?} is no port: expected 1 to 65535")]
    Port(String),
    /// Not one of the options.
    #[error(
        "{0:?} is no option of a SOCKS server: expected version=4, 4a or 5, or credentials=/PATH"
    )]
    Option(String),
    /// An option for the second time.
    #[error("the option {0} is given twice")]
    Twice(&'static str),
    /// A version that does not exist.
    #[error("{0:?} is no version of SOCKS: expected 4, 4a or 5")]
    Version(String),
    /// A path that depends on the current folder.
    #[error("{0:?}: a file of credentials needs its full path, from /")]
    Credentials(String),
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Server, ServerError> {
        let mut parts = text.split(';');
        let (host, port) = host_and_port(parts.next().unwrap_or_default())?;
        let mut server = Server {
            host,
            port,
            version: None,
            credentials: None,
        };
        for option in parts {
            server.set(option)?;
        }
        Ok(server)
    }
}

impl Server {
    fn set(&mut self, option: &str) -> Result<(), ServerError> {
        match option.split_once('=') {
            Some(("version", text)) => {
                let version = text
                    .parse()
                    .map_err(|_| ServerError::Version(text.to_owned()))?;
                once("version", &mut self.version, version)
            }
            Some(("credentials", path)) if !Path::new(path).is_absolute() => {
                Err(ServerError::Credentials(path.to_owned()))
            }
            Some(("credentials", path)) => {
                once("credentials", &mut self.credentials, PathBuf::from(path))
            }
            _ => Err(ServerError::Option(option.to_owned())),
        }
    }
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), ServerError> {
    match place.replace(value) {
        Some(_) => Err(ServerError::Twice(name)),
        None => Ok(()),
    }
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), ServerError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        bracketed(rest).ok_or_else(|| ServerError::Host(text.to_owned()))?
    } else if text.parse::<Ipv6Addr>().is_ok() {
        // An address as a whole has no port; one with a port must have the brackets.
        (text, None)
    } else if text.matches(':').count() > 1 {
        return Err(ServerError::Brackets(text.to_owned()));
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    if !is_name(name) && host.parse::<IpAddr>().is_err() {
        return Err(ServerError::Host(host.to_owned()));
    }
    Ok((host.to_owned(), port.map(parse_port).transpose()?))
}

/// An IPv6 address and maybe a port, behind the bracket that opens.
fn bracketed(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = text.split_once(']')?;
    host.parse::<Ipv6Addr>().ok()?;
    if rest.is_empty() {
        return Some((host, None));
    }
    Some((host, Some(rest.strip_prefix(':')?)))
}

fn parse_port(text: &str) -> Result<u16, ServerError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or_else(|| ServerError::Port(text.to_owned()))
}

/// As it is written in a list of servers, without its options.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Reads `@=serverlist`.
pub(crate) fn parse_list(list: &str) -> Result<Vec<Server>, Problem> {
    let server = |text: &str| match text {
        "" => Err(Problem::EmptyElement),
        text => Ok(text.parse()?),
    };
    list.split(',').map(server).collect()
}
