//! Who may reach what: an access policy of rules, which knows no protocol.
//!
//! # Rules
//!
//! Rules stand in order, and the first that is about a client and its target decides. When none is,
//! the client is refused. A daemon whose configuration has no policy at all allows everything.
//!
//! ```text
//! deny  = to local, 169.254.0.0/16
//! allow = from 10.0.0.0/8, 2001:db8::/32 to *.cluster.example:44321 connections 10 rate 5/s
//! allow = from cert *.ops.example, user backup to any:44321, 192.168.7.0/24:1024-65535
//! ```
//!
//! Each rule is one line. After `allow` or `deny` come these parts, in any order, each at most once
//! and at least one of them:
//!
//! | part | what it holds | without it |
//! | --- | --- | --- |
//! | `from` | clients, with commas between them | any client |
//! | `to` | targets, with commas between them | any target |
//! | `connections N` | how many connections each origin may hold under this rule | no limit |
//! | `rate N/s`, `N/m`, `N/h` | how many each origin may open in a second, minute or hour | no limit |
//!
//! A rule that denies has no limits. A client is one of:
//!
//! | client | who that is |
//! | --- | --- |
//! | `10.0.0.0/8`, `192.168.7.1`, `2001:db8::/32` | a TCP client with an address in there |
//! | `local` | one on a unix socket or with a loopback address |
//! | `uid 107`, `user backup` | a unix socket's client that runs as this user |
//! | `cert *.ops.example`, `cert "Alice Smith"` | one whose trusted certificate has this common name or alternative name; `cert *` is any name |
//! | `sasl alice@EXAMPLE`, `sasl *@EXAMPLE` | one that SASL has authenticated under this name |
//! | `any` | everyone |
//!
//! Host names are no clients: an address gets its name from whoever owns the address, so that it
//! proves nothing. A target is one of these, alone for all ports, or with `:PORT` or `:PORT-PORT`:
//!
//! | target | what that is |
//! | --- | --- |
//! | `10.0.0.0/8`, `192.168.7.1:44321`, `2001:db8::/32`, `[2001:db8::/32]:44321` | an address in there, by whatever name it was asked for |
//! | `db.example`, `*.cluster.example:44321` | a host that was asked for by this name |
//! | `local` | this machine's loopback addresses |
//! | `any` | everything |
//!
//! In names of hosts and certificates, case does not matter, `*` stands for any characters within a
//! label, and `**` for any characters at all: `*.example` is not `a.b.example`, `**.example` is. In
//! SASL names, case matters and `*` stands for any characters. Names with spaces or commas stand in
//! double quotes.
//!
//! # Names and addresses
//!
//! A client asks for a name, but what it reaches is an address, and whoever rules the name chooses
//! the address. So a target is always both: [`Policy::permitted`] is asked after the name has been
//! resolved, about each address, and only those that come back may be dialled. Rules with addresses
//! and networks look at the address alone, so that `deny = to local` at the top holds for every
//! name. Rules with names look at the name alone: allow one only if you trust who resolves it, and
//! to keep a machine from being reached, deny its address, not its name. An address that a client
//! asks for has no name.
//!
//! IPv4-mapped IPv6 addresses (`::ffff:10.0.0.1`) are IPv4 addresses everywhere, and the zones of
//! link-local ones are not looked at.
//!
//! # Limits
//!
//! An origin is a host or a user: all connections from one IPv4 address, one IPv6 /64, or one user
//! on unix sockets count together. Each rule counts for itself. A [`Grant`] holds a connection's
//! place until it is dropped. A rate is a token bucket of as many tokens as its number: `5/s` lets
//! five be opened at once, and one more each fifth of a second. What is refused costs no token.
//!
//! A rule remembers an origin while it holds connections or its bucket is not full, and at most
//! [`MOST_ORIGINS`] of them; then connections of further ones are refused.

mod client;
mod denial;
mod explain;
mod network;
mod parse;
mod rule;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod uris;
mod wildcard;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use nix::unistd::User;

pub use client::{Client, Identity};
pub use denial::Denial;
pub use explain::Explanation;
pub use parse::RuleError;
pub use rule::{Action, Limits, Rate, Rule};
pub use tally::MOST_ORIGINS;
pub use target::Target;
pub use uris::{UriRule, UriRuleError, UriVerdict};
pub use wildcard::Wildcard;

use tally::{Held, Tally, origin_of};

/// Rules in order. Cheap to clone.
///
/// The default has none and allows everything.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Arc<[ListedRule]>,
}

/// A rule in its place.
#[derive(Clone, Debug)]
pub struct ListedRule {
    number: usize,
    rule: Arc<Rule>,
    tally: Arc<Tally>,
}

/// What a policy says about a client and a target.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// There is no policy: allowed.
    Open,
    /// This rule allows or denies it.
    Rule(&'a ListedRule),
    /// No rule is about it: denied.
    Unmatched,
}

/// The right to a connection, which counts until this is dropped. It outlives the policy.
#[derive(Debug)]
pub struct Grant {
    /// The count of the rule that gave it.
    tally: Option<Arc<Tally>>,
    _held: Option<Held>,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Neither `allow` nor `deny`.
    #[error("rule {0}: {1:?}: expected allow or deny")]
    Key(usize, String),
    /// A rule is wrong.
    #[error("rule {0}: {1}")]
    Rule(usize, #[source] RuleError),
    /// A rule names a user whom the system does not know.
    #[error("rule {0}: there is no user {1:?} on this machine")]
    NoUser(usize, String),
    /// A rule names a user, and the system failed to say who that is.
    #[error("rule {number}: cannot look up the user {name:?}: {}", crate::describe(.source))]
    UserUnknown {
        /// The rule.
        number: usize,
        /// The user.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is a policy, but without rules.
    #[error(
        "there is no rule: without the section everything is allowed, with `deny = from any` nothing"
    )]
    Empty,
}

impl Policy {
    /// Reads the settings of a section, each `allow` or `deny` with the rest of a rule, in order.
    /// Users are looked up now, by the system.
    ///
    /// # Errors
    /// [`PolicyError`] at the first rule that is wrong, or when there is none.
    pub fn parse<'a>(
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Policy, PolicyError> {
        let mut rules = Vec::new();
        for (index, (key, text)) in settings.into_iter().enumerate() {
            let number = index + 1;
            let action = key
                .parse()
                .map_err(|_| PolicyError::Key(number, key.into()))?;
            let rule =
                Rule::parse(action, text).map_err(|error| PolicyError::Rule(number, error))?;
            rules.push(rule);
        }
        Policy::new(rules, system_uid)
    }

    /// A policy with these rules; `uid_of` tells the number of a user, if there is such a one.
    ///
    /// # Errors
    /// [`PolicyError`] when a user is not to be found, or there is no rule.
    pub fn new(
        rules: Vec<Rule>,
        uid_of: impl Fn(&str) -> io::Result<Option<u32>>,
    ) -> Result<Policy, PolicyError> {
        if rules.is_empty() {
            return Err(PolicyError::Empty);
        }
        let mut listed = Vec::with_capacity(rules.len());
        for (index, mut rule) in rules.into_iter().enumerate() {
            let number = index + 1;
            rule.find_users(number, &uid_of)?;
            listed.push(ListedRule {
                number,
                rule: Arc::new(rule),
                tally: Arc::default(),
            });
        }
        Ok(Policy {
            rules: listed.into(),
        })
    }

    /// This policy as the successor of `old`: a rule that `old` has too goes on with its count of
    /// connections and its buckets. It is the same rule if it allows the same clients the same
    /// targets, wherever it stands and whatever its limits are now.
    #[must_use]
    pub fn succeeding(&self, old: &Policy) -> Policy {
        let succeed = |new: &ListedRule| {
            let same = |old: &&ListedRule| new.rule.has_scope_of(&old.rule);
            let tally = &old.rules.iter().find(same).unwrap_or(new).tally;
            ListedRule {
                tally: Arc::clone(tally),
                ..new.clone()
            }
        };
        Policy {
            rules: self.rules.iter().map(succeed).collect(),
        }
    }

    /// Whether it allows everything, for want of rules.
    pub fn is_open(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules in order.
    pub fn rules(&self) -> &[ListedRule] {
        &self.rules
    }

    /// Which rule is about `client` and `target`. Limits do not matter here.
    pub fn decide(&self, client: &Client, target: &Target<'_>) -> Decision<'_> {
        if self.is_open() {
            return Decision::Open;
        }
        let first = self
            .rules
            .iter()
            .find(|listed| listed.rule.matches(client, target));
        first.map_or(Decision::Unmatched, Decision::Rule)
    }

    /// Those of `addresses`, for which `host` stands, that `client` may be connected to, in their
    /// order, and the right to one connection. No other address may be dialled.
    ///
    /// The limits are those of the rule that allows the first of them, even if the connection then
    /// comes about with another one.
    ///
    /// # Errors
    /// [`Denial`] when no address is allowed (it tells about the first), or the limits forbid it.
    pub fn permitted(
        &self,
        client: &Client,
        host: &str,
        addresses: &[SocketAddr],
    ) -> Result<(Vec<SocketAddr>, Grant), Denial> {
        self.permitted_at(client, host, addresses, Instant::now())
    }

    /// [`Policy::permitted`] by a clock of the caller's.
    ///
    /// # Errors
    /// The same.
    pub fn permitted_at(
        &self,
        client: &Client,
        host: &str,
        addresses: &[SocketAddr],
        now: Instant,
    ) -> Result<(Vec<SocketAddr>, Grant), Denial> {
        let decide = |address: SocketAddr| self.decide(client, &Target { host, address });
        let mut permitted = addresses.to_vec();
        permitted.retain(|address| decide(*address).is_allowed());
        match permitted.first().copied().map(decide) {
            None => {
                let by = addresses.first().copied().map(decide);
                Err(Denial::forbidden(host, addresses, by))
            }
            Some(Decision::Rule(listed)) => Ok((permitted, listed.grant(client, now)?)),
            Some(_) => Ok((permitted, Grant::unlimited())),
        }
    }

    /// Decides again about a connection that exists, to `address`, once more is known about the
    /// client: its [pending](Identity::Pending) names have come or not. The grant stays as it is if
    /// the same rule decides; otherwise the limits of the other rule apply.
    ///
    /// # Errors
    /// [`Denial`]: the connection must end.
    pub fn confirm(
        &self,
        grant: Grant,
        client: &Client,
        host: &str,
        address: SocketAddr,
    ) -> Result<Grant, Denial> {
        if let Decision::Rule(listed) = self.decide(client, &Target { host, address })
            && listed.rule.action == Action::Allow
            && grant.is_of(listed)
        {
            return Ok(grant);
        }
        drop(grant);
        let (_, grant) = self.permitted(client, host, &[address])?;
        Ok(grant)
    }

    /// What the policy would say, for people to read. No limits are taken.
    pub fn explain<'a>(
        &'a self,
        client: &'a Client,
        host: &'a str,
        addresses: &[SocketAddr],
    ) -> Explanation<'a> {
        let decide = |&address| (address, self.decide(client, &Target { host, address }));
        Explanation {
            client,
            host,
            decisions: addresses.iter().map(decide).collect(),
        }
    }
}

/// Whom the system knows by this name.
fn system_uid(name: &str) -> io::Result<Option<u32>> {
    Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
}

impl ListedRule {
    /// Its place, from 1 on.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// A connection under this rule, which allows the client.
    fn grant(&self, client: &Client, now: Instant) -> Result<Grant, Denial> {
        let limits = self.rule.limits;
        let take = || self.tally.take(origin_of(&client.peer), limits, now);
        let held = (!limits.is_none())
            .then(take)
            .transpose()
            .map_err(|exhausted| Denial::exhausted(self, exhausted))?;
        Ok(Grant {
            tally: Some(Arc::clone(&self.tally)),
            _held: held,
        })
    }
}

/// `rule 2 (allow from ... to ...)`, cut short where the rule is long.
impl fmt::Display for ListedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 160;
        let text = self.rule.to_string();
        let number = self.number;
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "rule {number} ({}...)", &text[..end]),
            None => write!(f, "rule {number} ({text})"),
        }
    }
}

impl Grant {
    fn unlimited() -> Grant {
        Grant {
            tally: None,
            _held: None,
        }
    }

    fn is_of(&self, listed: &ListedRule) -> bool {
        self.tally
            .as_ref()
            .is_some_and(|tally| Arc::ptr_eq(tally, &listed.tally))
    }
}

impl Decision<'_> {
    /// Whether the address may be dialled.
    pub fn is_allowed(&self) -> bool {
        match self {
            Decision::Open => true,
            Decision::Rule(listed) => listed.rule.action == Action::Allow,
            Decision::Unmatched => false,
        }
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Open => f.write_str("allowed, since there is no access policy"),
            Decision::Rule(listed) if self.is_allowed() => write!(f, "allowed by {listed}"),
            Decision::Rule(listed) => write!(f, "denied by {listed}"),
            Decision::Unmatched => f.write_str("denied, since no rule is about it"),
        }
    }
}
