//! Comma-separated lists of TCP ports, as in `PMPROXY_PORT` and after `-p`.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::str::FromStr;

/// TCP ports, each once, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(BTreeSet<NonZeroU16>);

/// Why a list of ports could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port number from 1 to 65535")]
pub struct PortSetError(pub String);

impl PortSet {
    /// Adds all ports of `other`.
    pub fn unite(&mut self, other: PortSet) {
        self.0.extend(other.0);
    }

    /// Whether there is no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().map(|port| port.get())
    }
}

impl FromIterator<NonZeroU16> for PortSet {
    fn from_iter<I: IntoIterator<Item = NonZeroU16>>(ports: I) -> PortSet {
        PortSet(ports.into_iter().collect())
    }
}

impl FromStr for PortSet {
    type Err = PortSetError;

    fn from_str(list: &str) -> Result<PortSet, PortSetError> {
        list.split(',')
            .map(|item| parse_port(item.trim()))
            .collect()
    }
}

fn parse_port(item: &str) -> Result<NonZeroU16, PortSetError> {
    let digits = !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| item.parse().ok())
        .flatten()
        .ok_or_else(|| PortSetError(item.chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_united_and_each_port_kept_once() {
        let mut ports: PortSet = "44322, 44399".parse().unwrap();
        ports.unite("44399,1".parse().unwrap());
        assert_eq!(ports.iter().collect::<Vec<_>>(), [1, 44322, 44399]);
    }

    #[test]
    fn what_is_no_port_is_named() {
        for bad in ["", "0", "65536", "-1", "+1", "44322,", "ssh", "1 2"] {
            let error = bad.parse::<PortSet>().unwrap_err();
            assert!(
                error.to_string().contains("is not a port number"),
                "{bad}: {error}"
            );
        }
    }
}
