//! What is asked for: the host that a client names, an address that it stands for, and the part of
//! a rule that is compared with both.

use std::fmt;
use std::net::SocketAddr;

use super::network::Network;
use super::wildcard::Wildcard;

/// A server that a client asks for, at one of its addresses.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host as the client named it: a name, or an address without brackets.
    pub host: &'a str,
    /// What it stands for, and the port.
    pub address: SocketAddr,
}

impl Target<'_> {
    fn is_local(&self) -> bool {
        let address = self.address.ip().to_canonical();
        // Connecting to the unspecified address reaches this machine.
        address.is_loopback() || address.is_unspecified()
    }

    /// The host without its final dot, if it is a name. What the system's resolver would read as an
    /// address is none, however it is written (`127.1`, `0x7f000001`, an IPv6 address with anything
    /// as its zone): a pattern of names must not let it through.
    fn name(&self) -> Option<&str> {
        let host = self.host.strip_suffix('.').unwrap_or(self.host);
        is_name(host, char::is_alphanumeric).then_some(host)
    }
}

/// Whether this is a name of labels, rather than an address. `extra` says which characters it may
/// have beside `-`, `_` and the dots between labels.
pub(super) fn is_name(host: &str, extra: impl Fn(char) -> bool) -> bool {
    let allowed = |c| extra(c) || matches!(c, '-' | '_');
    let is_label = |label: &str| !label.is_empty() && label.chars().all(allowed);
    host.split('.').all(is_label) && !ends_in_a_number(host)
}

/// Whether the last label makes it an address, as in the URL standard; no name ends so, since no
/// top-level domain is a number.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// One of the alternatives after `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetPattern {
    pub(super) host: HostPattern,
    pub(super) ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    Local,
    Network(Network),
    Name(Wildcard),
}

/// A range of ports, its ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl Ports {
    pub(super) const ALL: Ports = Ports {
        first: 1,
        last: u16::MAX,
    };
}

impl TargetPattern {
    pub(super) const ANY: TargetPattern = TargetPattern {
        host: HostPattern::Any,
        ports: Ports::ALL,
    };

    /// A name is compared with the host that was asked for, everything else with the address.
    pub(super) fn matches(&self, target: &Target<'_>) -> bool {
        let Ports { first, last } = self.ports;
        (first..=last).contains(&target.address.port())
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Local => target.is_local(),
                HostPattern::Network(network) => network.contains(target.address.ip()),
                HostPattern::Name(names) => target.name().is_some_and(|name| names.matches(name)),
            }
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Any => f.write_str("any")?,
            HostPattern::Local => f.write_str("local")?,
            HostPattern::Network(network) if network.is_ipv6() && self.ports != Ports::ALL => {
                write!(f, "[{network}]")?;
            }
            HostPattern::Network(network) => network.fmt(f)?,
            HostPattern::Name(names) => names.fmt(f)?,
        }
        match self.ports {
            Ports::ALL => Ok(()),
            Ports { first, last } if first == last => write!(f, ":{first}"),
            Ports { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}
