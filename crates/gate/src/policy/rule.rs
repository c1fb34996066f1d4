//! One rule of a policy: whom it is about, what they may reach or not, and how much of it.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use super::PolicyError;
use super::client::{Client, ClientPattern};
use super::parse::{RuleError, parse};
use super::target::{Target, TargetPattern};

/// A rule, as [the policy](super) explains it.
///
/// It displays itself as a line that parses to the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) action: Action,
    pub(super) clients: Vec<ClientPattern>,
    pub(super) targets: Vec<TargetPattern>,
    pub(super) limits: Limits,
}

/// What a rule does with those that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It lets them through.
    Allow,
    /// It does not.
    Deny,
}

/// How much a rule allows to each origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: Option<u32>,
    /// How fast they may be opened.
    pub rate: Option<Rate>,
}

/// A number of connections in a period: as many may be opened at once, and more as time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub(super) count: u32,
    pub(super) period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Second,
    Minute,
    Hour,
}

impl Rule {
    /// Reads what follows `allow` or `deny`.
    ///
    /// # Errors
    /// [`RuleError`] names the word that is wrong and what was expected.
    pub fn parse(action: Action, text: &str) -> Result<Rule, RuleError> {
        parse(action, text)
    }

    /// Whether the rule is about this client and target.
    pub(super) fn matches(&self, client: &Client, target: &Target<'_>) -> bool {
        let hopeful = self.action == Action::Allow;
        let is_client = |pattern: &ClientPattern| pattern.matches(client, hopeful);
        let is_target = |pattern: &TargetPattern| pattern.matches(target);
        self.clients.iter().any(is_client) && self.targets.iter().any(is_target)
    }

    /// Whether both rules are about the same, whatever their limits.
    pub(super) fn has_scope_of(&self, other: &Rule) -> bool {
        (self.action, &self.clients, &self.targets)
            == (other.action, &other.clients, &other.targets)
    }

    /// Finds the users that it names.
    pub(super) fn find_users(
        &mut self,
        number: usize,
        uid_of: &impl Fn(&str) -> io::Result<Option<u32>>,
    ) -> Result<(), PolicyError> {
        for pattern in &mut self.clients {
            let ClientPattern::User(user) = pattern else {
                continue;
            };
            let name = user.name.to_string();
            user.uid = match uid_of(&name) {
                Ok(Some(uid)) => Some(uid),
                Ok(None) => return Err(PolicyError::NoUser(number, name)),
                Err(source) => {
                    return Err(PolicyError::UserUnknown {
                        number,
                        name,
                        source,
                    });
                }
            };
        }
        Ok(())
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads a whole rule, `allow ...` or `deny ...`.
    fn from_str(text: &str) -> Result<Rule, RuleError> {
        let text = text.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (action, rest) = text.split_at(end);
        Rule::parse(action.parse()?, rest)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from ", self.action)?;
        list(f, &self.clients)?;
        f.write_str(" to ")?;
        list(f, &self.targets)?;
        self.limits.fmt(f)
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

impl FromStr for Action {
    type Err = RuleError;

    fn from_str(word: &str) -> Result<Action, RuleError> {
        match word {
            "allow" => Ok(Action::Allow),
            "deny" => Ok(Action::Deny),
            _ => Err(RuleError::at(word, "allow or deny")),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
        })
    }
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// As at the end of a rule, with a space before each.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(connections) = self.connections {
            write!(f, " connections {connections}")?;
        }
        if let Some(rate) = self.rate {
            write!(f, " rate {rate}")?;
        }
        Ok(())
    }
}

impl Rate {
    /// The time after which one more may be opened.
    pub(super) fn interval(self) -> Duration {
        let period = match self.period {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3600,
        };
        Duration::from_secs(period) / self.count
    }

    /// The time after which as many as ever may be opened.
    pub(super) fn recovery(self) -> Duration {
        self.interval() * self.count
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => 's',
            Period::Minute => 'm',
            Period::Hour => 'h',
        };
        write!(f, "{}/{period}", self.count)
    }
}
