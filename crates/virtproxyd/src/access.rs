//! Who may open which URI: the rules of `uri_access`, which are gate's, and what libvirt adds to them.
//!
//! The first rule that is about client and URI decides; where there are rules and none is about
//! them, the client is refused. The names of a certificate are its distinguished name.

use std::sync::Arc;

use gate::policy::{Client, Identity as Names, UriRule, UriVerdict};
use gate::stream::Peer;
use virt_proto::{Identity, RemoteError};

use crate::config;

/// A longer URI is no daemon's, in bytes: to compare it with patterns takes its time.
const LONGEST_URI: usize = 1024;

/// All rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UriAccess(Vec<UriRule>);

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
    pub(crate) fn parse(rules: &[config::UriRule]) -> Result<UriAccess, String> {
        let parse = |rule: &config::UriRule| {
            let config::UriRule { line, text } = rule;
            UriRule::parse(text)
                .map_err(|error| format!("{line}: uri_access: rule {text:?}: {error}"))
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
        }
        let names = |name: &Option<Arc<str>>| match name {
            Some(name) => Names::Known(vec![name.as_ref().into()]),
            None => Names::Absent,
        };
        let client = Client {
            peer,
            certificate: names(&identity.x509_distinguished_name),
            sasl: names(&identity.sasl_user_name),
        };
        match UriRule::decide(&self.0, &client, uri) {
            Some(UriVerdict::Allow { read_only }) => Ok(Grant { read_only }),
            Some(UriVerdict::Deny) | None => Err(RemoteError::access_denied(&format!(
                "virtproxyd's uri_access does not let this client open {uri}"
            ))),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use virt_proto::ErrorNumber;

    fn rules(texts: &[&str]) -> Result<UriAccess, String> {
        let numbered = texts.iter().zip(1..);
        let rules: Vec<config::UriRule> = numbered
            .map(|(text, line)| config::UriRule {
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
            ("", "the end of the rule: expected allow or deny"),
            ("permit from any", r#""permit": expected allow or deny"#),
            (
                "deny read-only",
                r#""read-only": expected it only in a rule that allows"#,
            ),
            (
                "allow qemu:///system",
                r#""qemu:///system": expected read-only, from or to"#,
            ),
            ("allow to", "the end of the rule: expected a URI"),
            ("allow to a, ,b", r#"",": expected a URI"#),
            ("allow to a b", r#""b": expected a comma"#),
            ("allow from", "the end of the rule"),
            ("allow from user nobody-of-this-name", "there is no user"),
            ("allow from any any", r#""any": expected a comma"#),
        ];
        for (rule, expected) in table {
            let error = rules(&["allow from any", rule]).unwrap_err();
            let named = error.starts_with(&format!("2: uri_access: rule {rule:?}: "));
            assert!(named && error.contains(expected), "{rule}: {error}");
        }
    }
}
