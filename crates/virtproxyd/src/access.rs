//! Who may open which URI: the rules of `uri_access`.
//!
//! Each is `allow` or `deny`, then any of `read-only`, `from CLIENTS` and `to URIS`, in this order.
//! The first rule that is about client and URI decides; where there are rules and none is about
//! them, the client is refused. Clients are written as in [`gate::policy`]; the names of a
//! certificate are its distinguished name. In URIs `*` stands for any characters and `?` for one.

use std::sync::Arc;

use gate::policy::{Client, Clients, Identity as Names, Wildcard};
use gate::stream::Peer;
use virt_proto::{Identity, RemoteError};

use crate::config::UriRule;

/// A longer URI is no daemon's, in bytes: to compare it with patterns takes its time.
const LONGEST_URI: usize = 1024;

/// All rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UriAccess(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    verdict: Verdict,
    /// `None` for everyone.
    clients: Option<Clients>,
    /// Empty for all URIs.
    uris: Vec<Wildcard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Deny,
    Allow(Grant),
}

/// What a client may do with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Whether it may only look.
    pub(crate) read_only: bool,
}

impl UriAccess {
    /// Reads all rules. Users are looked up now.
    ///
    /// # Errors
    /// A text that begins with the line of the rule.
    pub(crate) fn parse(rules: &[UriRule]) -> Result<UriAccess, String> {
        let parse = |rule: &UriRule| {
            let UriRule { line, text } = rule;
            parse(text).map_err(|error| format!("{line}: uri_access: rule {text:?}: {error}"))
        };
        let rules: Result<_, _> = rules.iter().map(parse).collect();
        rules.map(UriAccess)
    }

    /// What `client` may do with `uri`.
    pub(crate) fn judge(
        &self,
        peer: Peer,
        identity: &Identity,
        uri: &str,
    ) -> Result<Grant, RemoteError> {
        if self.0.is_empty() {
            return Ok(Grant { read_only: false });
        }
        if !is_plain(uri) {
            return Err(RemoteError::access_denied(&format!(
                "virtproxyd's uri_access lets clients open URIs in their plain form only \
                 (driver:///path), which {uri} has not"
            )));
        };
        let names = |name: &Option<Arc<str>>| match name {
            Some(name) => Names::Known(vec![name.as_ref().into()]),
            None => Names::Absent,
        };
        let client = Client {
            peer,
            certificate: names(&identity.x509_distinguished_name),
            sasl: names(&identity.sasl_user_name),
        };
        let verdict = self.0.iter().find(|rule| rule.is_about(&client, uri));
        match verdict.map(|rule| rule.verdict) {
            Some(Verdict::Allow(grant)) => Ok(grant),
            Some(Verdict::Deny) | None => Err(RemoteError::access_denied(&format!(
                "virtproxyd's uri_access does not let this client open {uri}"
            ))),
        }
    }
}

impl Rule {
    fn is_about(&self, client: &Client, uri: &str) -> bool {
        let any_client = self
            .clients
            .as_ref()
            .is_none_or(|clients| clients.include(client));
        let any_uri = self.uris.is_empty() || self.uris.iter().any(|pattern| pattern.matches(uri));
        any_client && any_uri
    }
}

/// Whether a URI says nothing in another way than it could be said plainly, and nothing beside it: a
/// daemon, which takes `%73ystem` and `system?a=b` for `system`, would open what a rule is about, and
/// the rule would not know it.
fn is_plain(uri: &str) -> bool {
    let Some((scheme, path)) = uri.split_once(":///") else {
        return false;
    };
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b':' | b'?' | b'#');
    let mut steps = path.split('/').rev();
    // Only the last may be empty.
    let last = steps.next().unwrap_or_default();
    uri.len() <= LONGEST_URI
        && scheme.bytes().all(|byte| !byte.is_ascii_uppercase())
        && path.bytes().all(is_plain)
        && ![".", ".."].contains(&last)
        && steps.all(|step| !["", ".", ".."].contains(&step))
}

fn parse(text: &str) -> Result<Rule, String> {
    let (action, rest) = first_word(text);
    let (second, after) = first_word(rest);
    let (read_only, rest) = match second {
        "read-only" => (true, after),
        _ => (false, rest),
    };
    let verdict = match (action, read_only) {
        ("allow", read_only) => Verdict::Allow(Grant { read_only }),
        ("deny", false) => Verdict::Deny,
        ("deny", true) => return Err("what is denied cannot be read-only".into()),
        _ => return Err(format!("it begins with {action:?}, expected allow or deny")),
    };
    let (clients, uris) = split_at_to(rest);
    let clients = match first_word(clients) {
        ("", _) => None,
        ("from", list) => Some(Clients::parse(list)?),
        (other, _) => return Err(format!("found {other:?}, expected from, to or read-only")),
    };
    let uris = match uris {
        None => Vec::new(),
        Some(list) => list
            .split(',')
            .map(|uri| match uri.trim() {
                "" => Err("a URI is missing after to".to_owned()),
                uri if uri.contains(char::is_whitespace) => {
                    Err(format!("{uri:?} is no URI: expected a comma between URIs"))
                }
                uri => Ok(Wildcard::glob(uri)),
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Rule {
        verdict,
        clients,
        uris,
    })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Cuts at the word `to`, unless it stands in quotes.
fn split_at_to(text: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    let mut begins = true;
    for (at, letter) in text.char_indices() {
        let rest = &text[at..];
        if begins && !quoted && first_word(rest).0 == "to" {
            return (&text[..at], Some(&rest[2..]));
        }
        quoted ^= letter == '"';
        begins = letter.is_whitespace();
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use virt_proto::ErrorNumber;

    fn rules(texts: &[&str]) -> Result<UriAccess, String> {
        let numbered = texts.iter().zip(1..);
        let rules: Vec<UriRule> = numbered
            .map(|(text, line)| UriRule {
                line,
                text: text.to_string(),
            })
            .collect();
        UriAccess::parse(&rules)
    }

    const ROOT: Peer = Peer::Unix {
        uid: 0,
        pid: Some(1),
    };

    fn nobody() -> Peer {
        Peer::Unix {
            uid: 65534,
            pid: None,
        }
    }

    /// `rw`, `ro` or `-`.
    fn verdict(access: &UriAccess, peer: Peer, identity: &Identity, uri: &str) -> &'static str {
        match access.judge(peer, identity, uri) {
            Ok(Grant { read_only: true }) => "ro",
            Ok(Grant { read_only: false }) => "rw",
            Err(error) => {
                assert_eq!(error.number, ErrorNumber::ACCESS_DENIED);
                assert!(error.to_string().contains(uri), "{error}");
                "-"
            }
        }
    }

    #[test]
    fn without_rules_everyone_may_open_everything() {
        let access = rules(&[]).unwrap();
        let identity = Identity::default();
        assert_eq!(
            verdict(&access, nobody(), &identity, "qemu:///system"),
            "rw"
        );
    }

    #[test]
    fn the_first_rule_about_client_and_uri_decides_and_the_rest_is_refused() {
        let access = rules(&[
            "deny from uid 65534 to test:///secret*",
            "allow from user root",
            "allow read-only from local to test:///*, network:///system",
            r#"allow from cert "CN=to be,O=Ops", sasl *@OPS to qemu:///system"#,
        ])
        .unwrap();
        let unknown = Identity::default();
        let certified = Identity {
            x509_distinguished_name: Some("CN=to be,O=Ops".into()),
            ..Identity::default()
        };
        let sasl = Identity {
            sasl_user_name: Some("eve@OPS".into()),
            ..Identity::default()
        };
        let remote = Peer::Tcp("10.0.0.1:5".parse().unwrap());
        let table = [
            (ROOT, &unknown, "qemu:///system", "rw"),
            (ROOT, &unknown, "test:///secret", "rw"),
            (nobody(), &unknown, "test:///secret/1", "-"),
            (nobody(), &unknown, "test:///default", "ro"),
            (nobody(), &unknown, "network:///system", "ro"),
            (nobody(), &unknown, "qemu:///system", "-"),
            (remote, &unknown, "qemu:///system", "-"),
            (remote, &certified, "qemu:///system", "rw"),
            (remote, &certified, "qemu:///session", "-"),
            (remote, &sasl, "qemu:///system", "rw"),
        ];
        for (peer, identity, uri, expected) in table {
            let found = verdict(&access, peer, identity, uri);
            assert_eq!(found, expected, "{peer} {identity:?} {uri}");
        }
    }

    #[test]
    fn no_rule_is_passed_by_in_another_spelling() {
        let access = rules(&["deny to test:///secret", "allow"]).unwrap();
        let identity = Identity::default();
        let long = format!("test:///{}", "x".repeat(LONGEST_URI));
        assert!(access.judge(ROOT, &identity, &long).is_err());
        for uri in [
            "test:///secret",
            "test:///secret?a=b",
            "test:///secret#a",
            "test:///%73ecret",
            "test:///./secret",
            "test:///a/../secret",
            "test:///a/..",
            "test:////secret",
            "test:/secret",
            "test:secret",
            "test://localhost/secret",
            "TEST:///secret",
            "test:///secret\n",
        ] {
            assert_eq!(verdict(&access, ROOT, &identity, uri), "-", "{uri}");
        }
        for uri in [
            "test:///default",
            "test:///",
            "lxc:///",
            "test:///etc/a.xml",
            "test:///default/",
        ] {
            assert_eq!(verdict(&access, ROOT, &identity, uri), "rw", "{uri}");
        }
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_named() {
        let table = [
            ("", "expected allow or deny"),
            ("permit from any", r#"begins with "permit""#),
            ("deny read-only", "cannot be read-only"),
            ("allow qemu:///system", r#"found "qemu:///system""#),
            ("allow to", "a URI is missing"),
            ("allow to a, ,b", "a URI is missing"),
            ("allow to a b", "expected a comma"),
            ("allow from", "the end of the rule"),
            ("allow from user nobody-of-this-name", "there is no user"),
            ("allow from any any", "a comma before another client"),
        ];
        for (rule, expected) in table {
            let error = rules(&["allow from any", rule]).unwrap_err();
            let named = error.starts_with(&format!("2: uri_access: rule {rule:?}: "));
            assert!(named && error.contains(expected), "{rule}: {error}");
        }
    }
}
