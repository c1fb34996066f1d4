//! Names that only a SOCKS server can resolve, and the addresses that stand for them meanwhile; and
//! names that were resolved here, where the routes want to know them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::state::STATE;

/// How many of each are known. Of more, the oldest are forgotten.
const MOST: usize = 256;

/// The longest name that SOCKS has room for.
const LONGEST: usize = 255;

/// Addresses that stand for names are taken from 240.0.0.0/4, which is reserved and routed nowhere
/// (RFC 1112, section 4), ...
const PLACES_V4: u32 = 240 << 24;

/// ... and from 100::/64, which discards what is sent to it (RFC 6666).
const PLACES_V6: u128 = 0x0100 << 112;

/// How many numbers there are before they begin anew.
const NUMBERS: u32 = 1 << 24;

/// A name, with room for the NUL that C wants behind it.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; LONGEST + 1],
    length: usize,
}

impl Name {
    const EMPTY: Name = Name {
        bytes: [0; LONGEST + 1],
        length: 0,
    };

    fn new(text: &str) -> Option<Name> {
        let mut name = Name::EMPTY;
        name.bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        name.length = text.len();
        (name.length <= LONGEST && !text.contains('\0')).then_some(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(crate) fn with_nul(&self) -> &[u8] {
        self.bytes.get(..=self.length).unwrap_or_default()
    }
}

/// What stands for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) fn v4(self) -> Ipv4Addr {
        Ipv4Addr::from(PLACES_V4 | self.0)
    }

    pub(crate) fn v6(self) -> Ipv6Addr {
        Ipv6Addr::from(PLACES_V6 | u128::from(self.0))
    }

    fn of(address: IpAddr) -> Option<Place> {
        let number = match address.to_canonical() {
            IpAddr::V4(address) => u32::from(address).checked_sub(PLACES_V4)?,
            IpAddr::V6(address) => {
                u32::try_from(u128::from(address).checked_sub(PLACES_V6)?).ok()?
            }
        };
        (1..NUMBERS).contains(&number).then_some(Place(number))
    }
}

/// Both kinds.
#[repr(C)]
pub(crate) struct Names {
    last: u32,
    next: usize,
    placed: [(u32, Name); MOST],
    resolved: [(Option<IpAddr>, Name); MOST],
}

impl Names {
    pub(crate) const fn new() -> Names {
        Names {
            placed: [(0, Name::EMPTY); MOST],
            last: 0,
            resolved: [(None, Name::EMPTY); MOST],
            next: 0,
        }
    }

    fn place(&mut self, name: &Name) -> Place {
        let known = self
            .placed
            .iter()
            .find(|(number, known)| *number != 0 && known.as_str() == name.as_str());
        if let Some((number, _)) = known {
            return Place(*number);
        }
        self.last = if self.last + 1 >= NUMBERS {
            1
        } else {
            self.last + 1
        };
        if let Some(place) = self.placed.get_mut(self.last as usize % MOST) {
            *place = (self.last, *name);
        }
        Place(self.last)
    }

    fn remember(&mut self, address: IpAddr, name: &Name) {
        let address = Some(address.to_canonical());
        if let Some(known) = self.resolved.iter_mut().find(|known| known.0 == address) {
            known.1 = *name;
            return;
        }
        if let Some(place) = self.resolved.get_mut(self.next) {
            *place = (address, *name);
        }
        self.next = (self.next + 1) % MOST;
    }
}

/// What is known of an address.
pub(crate) enum Known {
    /// It stands for this name.
    Place(Name),
    /// It stood for a name, which is forgotten.
    Forgotten,
    /// A program here has asked for this name and got the address.
    Resolved(Name),
    /// Nothing.
    Nothing,
}

/// What is known of an address; with `resolved`, names that were resolved here are looked at too.
pub(crate) fn known(address: IpAddr, resolved: bool) -> Known {
    let place = Place::of(address);
    if place.is_none() && !resolved {
        return Known::Nothing;
    }
    STATE.with(|state| {
        let names = &state.names;
        if let Some(Place(number)) = place
            && number <= names.last
        {
            return match names.placed.get(number as usize % MOST) {
                Some((known, name)) if *known == number => Known::Place(*name),
                _ => Known::Forgotten,
            };
        }
        let address = Some(address.to_canonical());
        let known = names.resolved.iter().find(|known| known.0 == address);
        known.map_or(Known::Nothing, |(_, name)| Known::Resolved(*name))
    })
}

/// The name that an address stands for.
pub(crate) fn name(address: IpAddr) -> Option<String> {
    match known(address, false) {
        Known::Place(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}

/// An address that stands for a name from now on.
pub(crate) fn place(name: &str) -> Option<Place> {
    let name = Name::new(name)?;
    Some(STATE.with(|state| state.names.place(&name)))
}

/// Remembers that a name was resolved to an address.
pub(crate) fn remember(name: &str, address: IpAddr) {
    if let Some(name) = Name::new(name) {
        STATE.with(|state| state.names.remember(address, &name));
    }
}

/// A copy of a name that stays where it is, for C programs that keep pointers: it is the one that is
/// remembered for the place.
pub(crate) fn lasting(place: Place) -> *mut std::ffi::c_char {
    STATE.with(
        |state| match state.names.placed.get_mut(place.0 as usize % MOST) {
            Some((_, name)) => name.bytes.as_mut_ptr().cast(),
            None => std::ptr::null_mut(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(address: impl Into<IpAddr>) -> Option<String> {
        name(address.into())
    }

    #[test]
    fn a_name_has_one_place_in_both_families() {
        let alpha = place("alpha.example").unwrap();
        assert_eq!(place("alpha.example"), Some(alpha));
        assert_ne!(place("beta.example"), Some(alpha));
        assert_eq!(name_of(alpha.v4()).as_deref(), Some("alpha.example"));
        assert_eq!(name_of(alpha.v6()).as_deref(), Some("alpha.example"));
        assert_eq!(
            name_of(alpha.v4().to_ipv6_mapped()).as_deref(),
            Some("alpha.example")
        );
    }

    #[test]
    fn an_address_that_nothing_was_given_stands_for_nothing() {
        assert!(matches!(
            known(Ipv4Addr::new(192, 0, 2, 1).into(), true),
            Known::Nothing
        ));
        assert!(matches!(
            known(Ipv4Addr::new(240, 255, 0, 1).into(), true),
            Known::Nothing
        ));
        assert!(matches!(
            known(Ipv4Addr::new(240, 0, 0, 0).into(), true),
            Known::Nothing
        ));
    }

    #[test]
    fn a_forgotten_name_is_not_taken_for_another() {
        let first = place("first.example").unwrap();
        for number in 0..MOST {
            place(&format!("{number}.example")).unwrap();
        }
        assert!(matches!(known(first.v4().into(), true), Known::Forgotten));
    }

    #[test]
    fn the_longest_name_fits_and_a_longer_one_has_no_place() {
        let longest = "x".repeat(255);
        let place_of_it = place(&longest).unwrap();
        assert_eq!(name_of(place_of_it.v4()), Some(longest));
        assert_eq!(place(&"x".repeat(256)), None);
    }

    #[test]
    fn what_was_resolved_here_is_remembered_where_it_is_wanted() {
        let address = IpAddr::from([192, 0, 2, 77]);
        remember("gamma.example", address);
        assert!(
            matches!(known(address, true), Known::Resolved(name) if name.as_str() == "gamma.example")
        );
        assert!(matches!(known(address, false), Known::Nothing));
    }
}
