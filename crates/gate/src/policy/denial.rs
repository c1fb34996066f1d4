//! Why a client does not get its connection.

use std::net::SocketAddr;

use super::tally::Exhausted;
use super::{Decision, ListedRule, MOST_ORIGINS, Rate};

/// Why the policy refuses a connection, worded for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Denial {
    /// A rule denies it.
    #[error("{target} is denied by {rule}")]
    Rule {
        /// The host and what it stands for.
        target: String,
        /// The rule.
        rule: ListedRule,
    },
    /// No rule allows it.
    #[error("{target} is denied, since no rule of the access policy is about it")]
    Unmatched {
        /// The host and what it stands for.
        target: String,
    },
    /// The origin has as many connections as it may have.
    #[error("too many connections ({held} of {limit}) under {rule}")]
    TooMany {
        /// Those that it has. They may be more than the limit if that was lowered.
        held: u32,
        /// Those that it may have.
        limit: u32,
        /// The rule that says so.
        rule: ListedRule,
    },
    /// The origin opens connections too fast.
    #[error("connections opened too fast (over {rate}) under {rule}")]
    TooFast {
        /// How fast it may open them.
        rate: Rate,
        /// The rule that says so.
        rule: ListedRule,
    },
    /// More origins have connections than are kept count of.
    #[error("no more than {MOST_ORIGINS} hosts and users at a time are let in under {rule}")]
    TooManyOrigins {
        /// The rule that has limits.
        rule: ListedRule,
    },
}

impl Denial {
    /// Whether the same request may succeed later, because only a limit stands against it.
    pub fn is_temporary(&self) -> bool {
        match self {
            Denial::Rule { .. } | Denial::Unmatched { .. } => false,
            Denial::TooMany { .. } | Denial::TooFast { .. } | Denial::TooManyOrigins { .. } => true,
        }
    }

    /// None of `addresses` is allowed; `by` is what was decided about the first.
    pub(super) fn forbidden(
        host: &str,
        addresses: &[SocketAddr],
        by: Option<Decision<'_>>,
    ) -> Denial {
        let target = describe(host, addresses);
        match by {
            Some(Decision::Rule(rule)) => Denial::Rule {
                target,
                rule: rule.clone(),
            },
            _ => Denial::Unmatched { target },
        }
    }

    pub(super) fn exhausted(rule: &ListedRule, exhausted: Exhausted) -> Denial {
        let rule = rule.clone();
        match exhausted {
            Exhausted::Connections { held, limit } => Denial::TooMany { held, limit, rule },
            Exhausted::Rate(rate) => Denial::TooFast { rate, rule },
            Exhausted::Origins => Denial::TooManyOrigins { rule },
        }
    }
}

/// `"db.example" at 10.0.0.1:5432 (the first of 3 addresses)`
fn describe(host: &str, addresses: &[SocketAddr]) -> String {
    match addresses {
        [] => format!("{host:?}, which has no address,"),
        [only] => format!("{host:?} at {only}"),
        [first, ..] => {
            let count = addresses.len();
            format!("{host:?} at {first} (the first of {count} addresses)")
        }
    }
}
