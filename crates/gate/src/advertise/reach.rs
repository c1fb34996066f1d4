//! Where a service may be advertised: on the networks where it can be reached, never on loopback.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

/// The addresses at which a service listens, other than loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// An unspecified address stands for all addresses of its family. Never empty.
    addresses: Vec<IpAddr>,
}

/// What Avahi calls an interface and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// An interface's index, or [`Place::ANY`].
    pub(super) interface: i32,
    /// 0 is IPv4, 1 is IPv6, or [`Place::ANY`].
    pub(super) protocol: i32,
}

impl Place {
    pub(super) const ANY: i32 = -1;
}

impl Reach {
    /// The reach of a daemon that listens at `addresses`; `None` if nobody else can reach it there,
    /// so that it must not be advertised.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Option<Reach> {
        let addresses: BTreeSet<IpAddr> = addresses
            .into_iter()
            .map(|address| address.to_canonical())
            .filter(|address| !address.is_loopback())
            .collect();
        (!addresses.is_empty()).then(|| Reach {
            addresses: addresses.into_iter().collect(),
        })
    }

    /// The addresses; an unspecified one stands for all addresses of its family.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Where Avahi has to announce the service now. Empty while no interface has the addresses.
    pub(super) fn places(&self) -> Vec<Place> {
        let everywhere = |of: fn(&IpAddr) -> bool| {
            self.addresses
                .iter()
                .any(|address| address.is_unspecified() && of(address))
        };
        let protocol = match (everywhere(IpAddr::is_ipv4), everywhere(IpAddr::is_ipv6)) {
            (true, true) => {
                return vec![Place {
                    interface: Place::ANY,
                    protocol: Place::ANY,
                }];
            }
            (true, false) => Some(protocol(true)),
            (false, true) => Some(protocol(false)),
            (false, false) => None,
        };
        let mut places: BTreeSet<Place> = self.interfaces();
        if let Some(protocol) = protocol {
            places.retain(|place| place.protocol != protocol);
            places.insert(Place {
                interface: Place::ANY,
                protocol,
            });
        }
        places.into_iter().collect()
    }

    /// The interfaces that have one of the addresses.
    fn interfaces(&self) -> BTreeSet<Place> {
        let Ok(all) = getifaddrs() else {
            return BTreeSet::new();
        };
        all.filter_map(|entry| {
            let storage = entry.address?;
            let address: IpAddr = match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
                (Some(v4), _) => v4.ip().into(),
                (None, Some(v6)) => v6.ip().into(),
                (None, None) => return None,
            };
            if !self.addresses.contains(&address) {
                return None;
            }
            let index = if_nametoindex(entry.interface_name.as_str()).ok()?;
            Some(Place {
                interface: i32::try_from(index).ok()?,
                protocol: protocol(address.is_ipv4()),
            })
        })
        .collect()
    }
}

fn protocol(ipv4: bool) -> i32 {
    i32::from(!ipv4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(addresses: &[&str]) -> Option<Reach> {
        Reach::of(addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn a_daemon_on_loopback_alone_reaches_nobody() {
        assert_eq!(reach(&["127.0.0.1", "::1", "::ffff:127.0.0.1"]), None);
        assert_eq!(reach(&[]), None);
        assert!(reach(&["127.0.0.1", "0.0.0.0"]).is_some());
    }

    #[test]
    fn all_addresses_of_both_families_are_one_place() {
        let places = reach(&["0.0.0.0", "::", "192.0.2.1"]).unwrap().places();
        assert_eq!(
            places,
            [Place {
                interface: -1,
                protocol: -1
            }]
        );
    }

    #[test]
    fn all_addresses_of_one_family_stand_for_every_interface() {
        assert_eq!(
            reach(&["0.0.0.0"]).unwrap().places(),
            [Place {
                interface: -1,
                protocol: 0
            }]
        );
        assert_eq!(
            reach(&["::"]).unwrap().places(),
            [Place {
                interface: -1,
                protocol: 1
            }]
        );
    }

    #[test]
    fn an_address_that_no_interface_has_is_nowhere() {
        assert!(reach(&["192.0.2.1"]).unwrap().places().is_empty());
    }
}
