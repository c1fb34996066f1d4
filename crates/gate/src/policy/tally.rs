//! What each origin has of one rule: connections that it holds, and how fast it opened them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rule::{Limits, Rate};
use crate::stream::{Origin, Peer};

/// Origins that one rule keeps count of at the most.
pub const MOST_ORIGINS: usize = 65_536;

/// Origins that may gather before those that are idle are looked for.
const FEW_ORIGINS: usize = 1024;

/// Looking through all origins is not repeated sooner, so that strangers cannot keep it going.
const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

/// The part of an IPv6 address that stands for the host: one that has a /64 has all addresses in it.
const IPV6_HOST_BITS: u32 = 64;

/// The count of one rule. It is shared by the policies that have the rule, one after the other, and
/// by the grants.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    origins: HashMap<Origin, Account>,
    /// Look for idle origins when there are so many.
    sweep_at: usize,
    /// But not before.
    sweep_after: Option<Instant>,
}

#[derive(Debug, Default)]
struct Account {
    connections: u32,
    /// When the origin may again open as many connections at once as ever. A token bucket needs no
    /// more: what is missing from it is the time until then, divided by the interval of the rate.
    full_at: Option<Instant>,
}

/// Why there is nothing more for an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Connections { held: u32, limit: u32 },
    Rate(Rate),
    Origins,
}

/// Whom to count `peer` with.
pub(super) fn origin_of(peer: &Peer) -> Origin {
    match peer.origin() {
        Origin::Host(IpAddr::V6(address)) => {
            let host = address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS;
            Origin::Host(Ipv6Addr::from_bits(host).into())
        }
        other => other,
    }
}

impl Tally {
    /// Takes a connection from the limits, all of them or none.
    pub(super) fn take(
        self: &Arc<Tally>,
        origin: Origin,
        limits: Limits,
        now: Instant,
    ) -> Result<Held, Exhausted> {
        let mut book = self.book();
        let account = book.account(origin, now)?;
        if let Some(limit) = limits.connections
            && account.connections >= limit
        {
            let held = account.connections;
            return Err(Exhausted::Connections { held, limit });
        }
        if let Some(rate) = limits.rate {
            account.open(rate, now)?;
        }
        account.connections += 1;
        Ok(Held {
            tally: Arc::clone(self),
            origin,
        })
    }

    /// Origins that are kept count of.
    #[cfg(test)]
    pub(super) fn origins(&self) -> usize {
        self.book().origins.len()
    }

    fn give_back(&self, origin: Origin, now: Instant) {
        let mut book = self.book();
        if let Some(account) = book.origins.get_mut(&origin) {
            account.connections = account.connections.saturating_sub(1);
            if account.is_idle(now) {
                book.origins.remove(&origin);
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn account(&mut self, origin: Origin, now: Instant) -> Result<&mut Account, Exhausted> {
        if !self.origins.contains_key(&origin) {
            self.make_room(now);
            if self.origins.len() >= MOST_ORIGINS {
                return Err(Exhausted::Origins);
            }
        }
        Ok(self.origins.entry(origin).or_default())
    }

    /// Forgets idle origins when there are twice as many as the last time, or as many as there may
    /// be: so each new origin pays for a look at a few others.
    fn make_room(&mut self, now: Instant) {
        let many = self.origins.len() >= self.sweep_at.max(FEW_ORIGINS);
        if many && self.sweep_after.is_none_or(|after| now >= after) {
            self.origins.retain(|_, account| !account.is_idle(now));
            self.sweep_at = (2 * self.origins.len()).min(MOST_ORIGINS);
            self.sweep_after = Some(now + SWEEP_INTERVAL);
        }
    }
}

impl Account {
    /// Takes a token, if there is one.
    fn open(&mut self, rate: Rate, now: Instant) -> Result<(), Exhausted> {
        // An older rate may have been slower; no more is held against the origin than this one can.
        let full_at = self.full_at.unwrap_or(now).min(now + rate.recovery());
        self.full_at = Some(full_at);
        let then_full_at = full_at.max(now) + rate.interval();
        if then_full_at > now + rate.recovery() {
            return Err(Exhausted::Rate(rate));
        }
        self.full_at = Some(then_full_at);
        Ok(())
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.connections == 0 && self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

/// One connection that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    tally: Arc<Tally>,
    origin: Origin,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.give_back(self.origin, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::Period;

    fn user(uid: u32) -> Origin {
        Origin::User(uid)
    }

    fn limits(connections: Option<u32>, rate: Option<Rate>) -> Limits {
        Limits { connections, rate }
    }

    const FIVE_A_SECOND: Rate = Rate {
        count: 5,
        period: Period::Second,
    };

    /// How many connections in a row can be opened and closed.
    fn burst(tally: &Arc<Tally>, limits: Limits, now: Instant) -> usize {
        (0..100)
            .take_while(|_| tally.take(user(1), limits, now).is_ok())
            .count()
    }

    #[test]
    fn as_many_as_the_rate_says_come_at_once_and_then_one_after_the_other() {
        let tally = Arc::new(Tally::default());
        let limits = limits(None, Some(FIVE_A_SECOND));
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(burst(&tally, limits, start), 5);
        assert_eq!(burst(&tally, limits, after(199)), 0);
        assert_eq!(burst(&tally, limits, after(200)), 1);
        assert_eq!(burst(&tally, limits, after(1000)), 4);
        assert_eq!(burst(&tally, limits, after(60_000)), 5);
    }

    #[test]
    fn a_rate_that_does_not_divide_its_period_is_kept_exactly() {
        for count in [3, 7, 999_999, 1_000_000] {
            let rate = Rate {
                count,
                period: Period::Second,
            };
            let mut account = Account::default();
            let now = Instant::now();
            for _ in 0..count {
                assert_eq!(account.open(rate, now), Ok(()));
            }
            assert_eq!(account.open(rate, now), Err(Exhausted::Rate(rate)));
        }
    }

    #[test]
    fn a_faster_rate_forgives_what_a_slower_one_held_against_the_origin() {
        let tally = Arc::new(Tally::default());
        let slow = Rate {
            count: 1,
            period: Period::Hour,
        };
        let now = Instant::now();
        assert_eq!(burst(&tally, limits(None, Some(slow)), now), 1);
        let soon = now + Duration::from_millis(200);
        assert_eq!(burst(&tally, limits(None, Some(FIVE_A_SECOND)), now), 0);
        assert_eq!(burst(&tally, limits(None, Some(FIVE_A_SECOND)), soon), 1);
    }

    #[test]
    fn a_refused_connection_costs_nothing() {
        let tally = Arc::new(Tally::default());
        let both = limits(Some(1), Some(FIVE_A_SECOND));
        let now = Instant::now();
        let held = tally.take(user(1), both, now).unwrap();
        for _ in 0..10 {
            let refused = tally.take(user(1), both, now).unwrap_err();
            let wanted = Exhausted::Connections { held: 1, limit: 1 };
            assert_eq!(refused, wanted);
        }
        drop(held);
        assert_eq!(burst(&tally, both, now), 4);
    }

    #[test]
    fn an_origin_is_forgotten_when_it_has_and_owes_nothing() {
        let tally = Arc::new(Tally::default());
        let now = Instant::now();
        let held = tally.take(user(1), limits(Some(1), None), now).unwrap();
        assert_eq!(tally.origins(), 1);
        drop(held);
        assert_eq!(tally.origins(), 0);
    }

    #[test]
    fn origins_that_only_owe_are_swept_once_they_are_many() {
        let tally = Arc::new(Tally::default());
        let limits = limits(None, Some(FIVE_A_SECOND));
        let start = Instant::now() + Duration::from_secs(60);
        for uid in 0..u32::try_from(FEW_ORIGINS).unwrap() {
            drop(tally.take(user(uid), limits, start));
        }
        assert_eq!(tally.origins(), FEW_ORIGINS);
        let later = start + Duration::from_secs(1);
        drop(tally.take(user(u32::MAX), limits, later));
        assert_eq!(tally.origins(), 1);
    }

    #[test]
    fn there_is_a_limit_to_the_origins_and_it_hurts_only_new_ones() {
        let tally = Arc::new(Tally::default());
        let limits = limits(Some(2), None);
        let now = Instant::now();
        let most = u32::try_from(MOST_ORIGINS).unwrap();
        let mut held: Vec<Held> = (0..most)
            .map(|uid| tally.take(user(uid), limits, now).unwrap())
            .collect();
        let refused = tally.take(user(most), limits, now).unwrap_err();
        assert_eq!(refused, Exhausted::Origins);
        assert!(tally.take(user(0), limits, now).is_ok());
        held.pop();
        assert!(tally.take(user(most), limits, now).is_ok());
    }

    #[test]
    fn an_ipv6_host_is_a_64_and_a_mapped_one_is_its_ipv4_address() {
        let origin = |address: &str| origin_of(&Peer::Tcp(address.parse().unwrap()));
        assert_eq!(origin("[2001:db8::1]:1"), origin("[2001:db8::ffff:1]:2"));
        assert_ne!(origin("[2001:db8::1]:1"), origin("[2001:db8:0:1::1]:1"));
        assert_eq!(origin("[::ffff:10.0.0.1]:1"), origin("10.0.0.1:2"));
        assert_ne!(origin("10.0.0.1:1"), origin("10.0.0.2:1"));
    }
}
