//! The destinations of lines: `dst_addr dst_mask`, and what they match.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Problem;
use crate::decide::Sought;

/// What stands for every address of this host.
const THIS_HOST: &str = "LOCALHOSTNAME";

/// Where a line's connections go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `0.0.0.0 0.0.0.0`: all addresses of both families, and unknown names.
    Everywhere,
    /// The bits of the mask are as in the network, whose other bits are zero.
    V4 { network: u32, mask: u32 },
    /// The same for IPv6.
    V6 { network: u128, mask: u128 },
    /// `LOCALHOSTNAME`.
    ThisHost,
    /// A name, without the dot of the root.
    Host(String),
    /// `.example.com`: every name that ends so. Its first dot is kept.
    Below(String),
}

/// A first field, before its mask is known.
pub(crate) enum Address {
    /// Needs a mask.
    Bare(IpAddr),
    /// Has its prefix length.
    Whole(Destination),
    /// A name, which needs no mask.
    Named(Destination),
}

impl Address {
    /// Reads `dst_addr`, with its prefix length if it has one.
    pub(crate) fn parse(text: &str) -> Result<Address, Problem> {
        let (host, length) = match text.split_once('/') {
            Some((host, length)) => (host, Some(length)),
            None => (text, None),
        };
        let Ok(address) = host.parse::<IpAddr>() else {
            return Address::named(host, length)
                .ok_or_else(|| Problem::Destination(text.to_owned()));
        };
        let Some(length) = length else {
            return Ok(Address::Bare(address));
        };
        Ok(Address::Whole(match address {
            IpAddr::V4(v4) => {
                let bits = prefix_length(length, 32)?;
                Destination::v4(v4, !u32::MAX.checked_shr(bits).unwrap_or(0))
            }
            IpAddr::V6(v6) => {
                let bits = prefix_length(length, 128)?;
                Destination::v6(v6, !u128::MAX.checked_shr(bits).unwrap_or(0))
            }
        }))
    }

    /// `None`: it is no name, or what follows its slash doesn't mean one host.
    fn named(host: &str, length: Option<&str>) -> Option<Address> {
        if !matches!(length, None | Some("32" | "128")) {
            return None;
        }
        if host.eq_ignore_ascii_case(THIS_HOST) {
            return Some(Address::Named(Destination::ThisHost));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let below = name.strip_prefix('.');
        is_name(below.unwrap_or(name)).then(|| {
            Address::Named(match below {
                Some(_) => Destination::Below(name.to_owned()),
                None => Destination::Host(name.to_owned()),
            })
        })
    }

    /// The destination with its mask, as far as the line has one. `text`: what the address was
    /// read from, for errors.
    pub(crate) fn with_mask(self, text: &str, mask: Option<&str>) -> Result<Destination, Problem> {
        let parsed = mask.map(|mask| {
            let parsed = mask.parse::<IpAddr>();
            parsed.map_err(|_| Problem::Mask(mask.to_owned()))
        });
        match (self, parsed.transpose()?) {
            (Address::Whole(destination) | Address::Named(destination), None) => Ok(destination),
            (Address::Named(destination), Some(mask)) if is_full(mask) => Ok(destination),
            (Address::Named(_), Some(mask)) => Err(Problem::NameMask(mask.to_string())),
            (Address::Whole(_), Some(mask)) => Err(Problem::MaskAfterLength(mask.to_string())),
            (Address::Bare(_), None) => Err(Problem::NoMask(text.to_owned())),
            (Address::Bare(IpAddr::V4(address)), Some(IpAddr::V4(mask))) => {
                Ok(match Destination::v4(address, mask.into()) {
                    Destination::V4 { mask: 0, .. } => Destination::Everywhere,
                    destination => destination,
                })
            }
            (Address::Bare(IpAddr::V6(address)), Some(IpAddr::V6(mask))) => {
                Ok(Destination::v6(address, mask.into()))
            }
            (Address::Bare(address), Some(mask)) => Err(Problem::Families {
                address: address.to_string(),
                mask: mask.to_string(),
            }),
        }
    }
}

impl Destination {
    fn v4(address: Ipv4Addr, mask: u32) -> Destination {
        let network = u32::from(address) & mask;
        Destination::V4 { network, mask }
    }

    /// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.0/104`) is an IPv4 destination.
    fn v6(address: Ipv6Addr, mask: u128) -> Destination {
        if let (Some(v4), Ok(mask)) = (address.to_ipv4_mapped(), u32::try_from(!mask)) {
            return Destination::v4(v4, !mask);
        }
        let network = u128::from(address) & mask;
        Destination::V6 { network, mask }
    }

    /// Whether it is known by name only.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self, Destination::Host(_) | Destination::Below(_))
    }

    pub(crate) fn matches(&self, sought: &Sought<'_>) -> bool {
        match (self, sought.address) {
            (Destination::Everywhere, _) => true,
            (Destination::V4 { network, mask }, Some(IpAddr::V4(address))) => {
                u32::from(address) & mask == *network
            }
            (Destination::V6 { network, mask }, Some(IpAddr::V6(address))) => {
                u128::from(address) & mask == *network
            }
            // Whatever address the name turns out to have, it is one of them.
            (Destination::V4 { mask, .. }, None) => *mask == 0,
            (Destination::V6 { mask, .. }, None) => *mask == 0,
            (Destination::V4 { .. } | Destination::V6 { .. }, Some(_)) => false,
            (Destination::ThisHost, Some(_)) => sought.is_this_host(),
            (Destination::ThisHost, None) => false,
            (Destination::Host(host), _) => sought
                .name
                .is_some_and(|name| name.eq_ignore_ascii_case(host)),
            (Destination::Below(zone), _) => sought.name.is_some_and(|name| is_below(name, zone)),
        }
    }
}

/// Whether `name` has something before the `zone`, which begins with a dot.
fn is_below(name: &str, zone: &str) -> bool {
    let (name, zone) = (name.as_bytes(), zone.as_bytes());
    let Some(before) = name.len().checked_sub(zone.len()) else {
        return false;
    };
    before > 0 && name[before..].eq_ignore_ascii_case(zone)
}

/// Reads what follows the slash of an address of `most` bits.
fn prefix_length(text: &str, most: u32) -> Result<u32, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let bits = text.parse().ok().filter(|bits| digits && *bits <= most);
    bits.ok_or_else(|| {
        let text = text.to_owned();
        Problem::PrefixLength { text, most }
    })
}

/// Whether a mask leaves one address.
fn is_full(mask: IpAddr) -> bool {
    match mask {
        IpAddr::V4(mask) => mask == Ipv4Addr::BROADCAST,
        IpAddr::V6(mask) => u128::from(mask) == u128::MAX,
    }
}

/// Whether this can be the name of a host or a domain, by RFC 1123 and with the underscores that
/// are in use. What ends in a number (`10.1.2`) would be an address, if it were complete.
pub(crate) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let letters = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        (1..=63).contains(&label.len()) && letters
    };
    let last = text.rsplit('.').next().unwrap_or(text);
    let number = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && !number && text.split('.').all(label)
}
