//! Who may open which URI, for daemons whose targets are not hosts.

use super::client::{Client, ClientPattern};
use super::parse::{RuleError, parse_uri_rule};
use super::system_uid;
use super::wildcard::Wildcard;
use crate::errno::describe;

/// A rule: `allow` or `deny`, then any of `read-only`, `from CLIENTS` and `to URIS`, each at most
/// once. Clients are those of [other rules](super). URIs stand with commas between them; in them `*`
/// stands for any characters and `?` for one. Without clients or URIs, a rule is about all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriRule {
    pub(super) verdict: UriVerdict,
    pub(super) clients: Vec<ClientPattern>,
    pub(super) uris: Vec<Wildcard>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriVerdict {
    /// The URI may not be opened.
    Deny,
    /// It may.
    Allow {
        /// Only to look at it.
        read_only: bool,
    },
}

/// Why a rule about URIs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UriRuleError {
    /// Its text is wrong.
    #[error(transparent)]
    Text(#[from] RuleError),
    /// A user that it names does not exist.
    #[error("there is no user {0:?}")]
    NoUser(String),
    /// A user that it names cannot be looked up.
    #[error("cannot look up the user {name:?}: {}", describe(.error))]
    UserUnknown {
        /// The user.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
}

impl UriRule {
    /// Reads a rule. Users are looked up now, by the system.
    ///
    /// # Errors
    /// [`UriRuleError`] names the word that is wrong and what was expected, or the user.
    pub fn parse(text: &str) -> Result<UriRule, UriRuleError> {
        let mut rule = parse_uri_rule(text)?;
        for client in &mut rule.clients {
            if let ClientPattern::User(user) = client {
                let name = || user.name.to_string();
                user.uid = match system_uid(&user.name) {
                    Ok(Some(uid)) => Some(uid),
                    Ok(None) => return Err(UriRuleError::NoUser(name())),
                    Err(error) => {
                        let name = name();
                        return Err(UriRuleError::UserUnknown { name, error });
                    }
                };
            }
        }
        Ok(rule)
    }

    /// What the first of `rules` says that is about this client and URI; `None` where none is. A
    /// pending name is nobody's. The URI is compared as it is written.
    pub fn decide(rules: &[UriRule], client: &Client, uri: &str) -> Option<UriVerdict> {
        let is_about = |rule: &&UriRule| {
            rule.clients.iter().any(|one| one.matches(client, false))
                && rule.uris.iter().any(|one| one.matches(uri))
        };
        rules.iter().find(is_about).map(|rule| rule.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_stand_in_any_order_and_each_once() {
        let rule = UriRule::parse("allow to a:///*, b:///? read-only from local, uid 7").unwrap();
        assert_eq!(rule.verdict, UriVerdict::Allow { read_only: true });
        assert_eq!((rule.clients.len(), rule.uris.len()), (2, 2));
        for again in ["read-only read-only", "from any from any", "to a to b"] {
            let error = UriRule::parse(&format!("allow {again}")).unwrap_err();
            assert!(error.to_string().contains("only once"), "{error}");
        }
    }
}
