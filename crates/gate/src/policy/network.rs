//! Networks and single addresses, as rules name them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::parse::RuleError;

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// A network, or one address as a network with nothing else in it. IPv4-mapped IPv6 networks are
/// those of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(IpNet);

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/PREFIX`.
    pub(super) fn parse(word: &str) -> Result<Network, RuleError> {
        let refuse = |expected: &str| RuleError::at(word, expected);
        let (address, prefix) = match word.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (word, None),
        };
        if address.contains('%') {
            return Err(refuse("an address without a zone: zones are not compared"));
        }
        let address: IpAddr = address.parse().map_err(|_| refuse("an address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => number(prefix)
                .filter(|prefix| *prefix <= most)
                .ok_or_else(|| refuse(&format!("a prefix length from 0 to {most} after the /")))?,
            None => most,
        };
        let net = IpNet::new(address, prefix).map_err(|_| refuse("a network"))?;
        if net.trunc() != net {
            let network = net.trunc();
            return Err(refuse(&format!(
                "a network (did you mean {network}, or the address {address} alone?)"
            )));
        }
        Ok(Network(canonical(net)))
    }

    /// Whether `address` is in it; IPv4-mapped IPv6 addresses are those of IPv4.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }
}

/// A number in plain digits.
fn number(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn canonical(net: IpNet) -> IpNet {
    let mapped = net.prefix_len().checked_sub(MAPPED_PREFIX);
    match (net.addr().to_canonical(), mapped) {
        (address @ IpAddr::V4(_), Some(prefix)) if net.addr().is_ipv6() => {
            IpNet::new(address, prefix).unwrap_or(net)
        }
        _ => net,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> String {
        match Network::parse(word) {
            Ok(network) => network.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn networks_and_addresses_have_one_form() {
        assert_eq!(shown("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(shown("10.0.0.1/32"), "10.0.0.1");
        assert_eq!(shown("0.0.0.0/0"), "0.0.0.0/0");
        assert_eq!(shown("2001:DB8:0::/32"), "2001:db8::/32");
        assert_eq!(shown("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(shown("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(shown("::ffff:0:0/96"), "0.0.0.0/0");
        assert_eq!(shown("::/0"), "::/0");
    }

    #[test]
    fn what_is_no_network_is_told_with_what_would_be() {
        assert_eq!(
            shown("10.1.2.3/8"),
            "\"10.1.2.3/8\": expected a network (did you mean 10.0.0.0/8, or the address \
             10.1.2.3 alone?)"
        );
        for bad in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1"] {
            assert!(
                shown(bad).ends_with("expected a prefix length from 0 to 32 after the /"),
                "{bad}"
            );
        }
        assert!(shown("::/129").ends_with("from 0 to 128 after the /"));
        assert!(shown("fe80::1%eth0").contains("without a zone"));
        assert!(shown("10.0.0/8").ends_with("expected an address"));
    }
}
