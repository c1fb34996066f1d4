//! The text of a rule: cutting it into words, and making a rule of them.

use std::fmt;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::client::{ClientPattern, User};
use super::network::Network;
use super::rule::{Action, Limits, Period, Rate, Rule};
use super::target::{HostPattern, Ports, TargetPattern, is_name};
use super::uris::{UriRule, UriVerdict};
use super::wildcard::{MAX_NAME, Wildcard};

/// The words that begin a part of a rule. Nothing else may be called so, except in quotes.
const KEYWORDS: [&str; 4] = ["from", "to", "connections", "rate"];

/// The largest number of connections that can be a limit.
const MOST_CONNECTIONS: u32 = 1_000_000;

/// As much of a wrong word as is shown.
const SHOWN: usize = 60;

const A_PART: &str = "from, to, connections or rate";
const MORE_OR_A_PART: &str = "a comma, from, to, connections or rate";
const AN_ACTION: &str = "allow or deny";
const A_URI_PART: &str = "read-only, from or to";
const MORE_OR_A_URI_PART: &str = "a comma, read-only, from or to";
const A_LIMIT: &str = "a number from 1 to 1000000";
const A_CLIENT: &str =
    "a network, an address, local, uid NUMBER, user NAME, cert NAME, sasl NAME or any";
const A_TARGET: &str = "a host name, an address, a network, local or any, each alone or with :PORT \
                        or :PORT-PORT";
const NO_CLIENT_NAME: &str = "a network, an address, local, uid, user, cert, sasl or any (not a host \
                              name: whoever owns an address can give it any name)";

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found}: expected {expected}")]
pub struct RuleError {
    found: String,
    expected: String,
}

impl RuleError {
    pub(super) fn at(word: &str, expected: impl Into<String>) -> RuleError {
        let mut shown: String = word.chars().take(SHOWN).collect();
        if shown.len() < word.len() {
            shown.push_str("...");
        }
        RuleError {
            found: format!("{shown:?}"),
            expected: expected.into(),
        }
    }
}

/// A piece of a rule's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(&'a str),
    Comma,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::Word(text) | Token::Quoted(text) => text,
            Token::Comma => ",",
        }
    }
}

/// Reads what follows `allow` or `deny`.
pub(super) fn parse(action: Action, text: &str) -> Result<Rule, RuleError> {
    let mut tokens = Tokens(tokenize(text)?.into_iter().peekable());
    let (mut clients, mut targets) = (None, None);
    let mut limits = Limits::default();
    let mut expected = A_PART;
    tokens.0.peek().ok_or_else(|| Tokens::ended(expected))?;
    while let Some(token) = tokens.0.next() {
        let again = match token {
            Token::Word("from") => clients.replace(tokens.list(Tokens::client)?).is_some(),
            Token::Word("to") => targets.replace(tokens.list(Tokens::target)?).is_some(),
            Token::Word(word @ ("connections" | "rate")) if action == Action::Deny => {
                return Err(RuleError::at(word, "no limit in a rule that denies"));
            }
            Token::Word("connections") => {
                limits.connections.replace(tokens.connections()?).is_some()
            }
            Token::Word("rate") => limits.rate.replace(tokens.rate()?).is_some(),
            other => return Err(RuleError::at(other.text(), expected)),
        };
        if again {
            return Err(RuleError::at(token.text(), "it only once in a rule"));
        }
        expected = match token {
            Token::Word("from" | "to") => MORE_OR_A_PART,
            _ => A_PART,
        };
    }
    Ok(Rule {
        action,
        clients: clients.unwrap_or_else(|| vec![ClientPattern::Any]),
        targets: targets.unwrap_or_else(|| vec![TargetPattern::ANY]),
        limits,
    })
}

/// Reads a whole rule about URIs.
pub(super) fn parse_uri_rule(text: &str) -> Result<UriRule, RuleError> {
    let mut tokens = Tokens(tokenize(text)?.into_iter().peekable());
    let action: Action = tokens.word(AN_ACTION)?.parse()?;
    let (mut read_only, mut clients, mut uris) = (false, None, None);
    let mut expected = A_URI_PART;
    while let Some(token) = tokens.0.next() {
        let again = match token {
            Token::Word("read-only") if action == Action::Deny => {
                return Err(RuleError::at("read-only", "it only in a rule that allows"));
            }
            Token::Word("read-only") => std::mem::replace(&mut read_only, true),
            Token::Word("from") => clients.replace(tokens.list(Tokens::client)?).is_some(),
            Token::Word("to") => uris.replace(tokens.list(Tokens::uri)?).is_some(),
            other => return Err(RuleError::at(other.text(), expected)),
        };
        if again {
            return Err(RuleError::at(token.text(), "it only once in a rule"));
        }
        expected = match token {
            Token::Word("from" | "to") => MORE_OR_A_URI_PART,
            _ => A_URI_PART,
        };
    }
    Ok(UriRule {
        verdict: match action {
            Action::Allow => UriVerdict::Allow { read_only },
            Action::Deny => UriVerdict::Deny,
        },
        clients: clients.unwrap_or_else(|| vec![ClientPattern::Any]),
        uris: uris.unwrap_or_else(|| vec![Wildcard::glob("*")]),
    })
}

/// Cuts at spaces and commas, which quotes protect.
fn tokenize(text: &str) -> Result<Vec<Token<'_>>, RuleError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            ',' => {
                tokens.push(Token::Comma);
                &rest[1..]
            }
            '"' => {
                let (quoted, after) = rest[1..]
                    .split_once('"')
                    .ok_or_else(|| RuleError::at(rest, "a second quote after it"))?;
                tokens.push(Token::Quoted(quoted));
                after
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"');
                let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                tokens.push(Token::Word(word));
                after
            }
        }
        .trim_start();
    }
    Ok(tokens)
}

struct Tokens<'a>(Peekable<IntoIter<Token<'a>>>);

impl<'a> Tokens<'a> {
    fn ended(expected: &str) -> RuleError {
        RuleError {
            found: "the end of the rule".into(),
            expected: expected.into(),
        }
    }

    /// One or more items with commas between them.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Tokens<'a>) -> Result<T, RuleError>,
    ) -> Result<Vec<T>, RuleError> {
        let mut items = vec![item(self)?];
        while self.0.next_if_eq(&Token::Comma).is_some() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A word that begins no part of a rule.
    fn word(&mut self, expected: &str) -> Result<&'a str, RuleError> {
        match self.0.next() {
            Some(Token::Word(word)) if !KEYWORDS.contains(&word) => Ok(word),
            Some(other) => Err(RuleError::at(other.text(), expected)),
            None => Err(Tokens::ended(expected)),
        }
    }

    /// The name of a person, a program or a machine.
    fn name(&mut self, what: &str) -> Result<&'a str, RuleError> {
        let name = match self.0.next_if(|token| matches!(token, Token::Quoted(_))) {
            Some(quoted) => quoted.text(),
            None => self.word(what)?,
        };
        if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
            let expected = format!("{what} of 1 to {MAX_NAME} characters, none of them control");
            return Err(RuleError::at(name, expected));
        }
        Ok(name)
    }

    fn client(&mut self) -> Result<ClientPattern, RuleError> {
        Ok(match self.word(A_CLIENT)? {
            "any" => ClientPattern::Any,
            "local" => ClientPattern::Local,
            "uid" => ClientPattern::Uid(self.number("the number of a user", 0, u32::MAX)?),
            "user" => ClientPattern::User(User {
                name: self.name("the name of a user")?.into(),
                uid: None,
            }),
            // One star alone is plainly meant for every certificate.
            "cert" => ClientPattern::Certificate(match self.name("a certificate's name")? {
                "*" => Wildcard::whole("*"),
                name => Wildcard::labels(name),
            }),
            "sasl" => ClientPattern::Sasl(Wildcard::whole(self.name("a SASL name")?)),
            word if is_name(word, |c| c.is_alphanumeric() || c == '*') => {
                return Err(RuleError::at(word, NO_CLIENT_NAME));
            }
            word => ClientPattern::Network(Network::parse(word)?),
        })
    }

    fn uri(&mut self) -> Result<Wildcard, RuleError> {
        self.word("a URI").map(Wildcard::glob)
    }

    fn target(&mut self) -> Result<TargetPattern, RuleError> {
        let word = self.word(A_TARGET)?;
        let (host, ports) = split_ports(word)?;
        Ok(TargetPattern {
            host: match host {
                "any" => HostPattern::Any,
                "local" => HostPattern::Local,
                _ => host_pattern(host)?,
            },
            ports: ports.map_or(Ok(Ports::ALL), |ports| parse_ports(ports, word))?,
        })
    }

    fn connections(&mut self) -> Result<u32, RuleError> {
        self.number(A_LIMIT, 1, MOST_CONNECTIONS)
    }

    fn rate(&mut self) -> Result<Rate, RuleError> {
        const EXPECTED: &str =
            "a rate such as 5/s, 100/m or 1000/h, with a number from 1 to 1000000";
        let word = self.word(EXPECTED)?;
        let refuse = || RuleError::at(word, EXPECTED);
        let (count, period) = word.split_once('/').ok_or_else(refuse)?;
        Ok(Rate {
            count: number(count)
                .filter(|count| (1..=MOST_CONNECTIONS).contains(count))
                .ok_or_else(refuse)?,
            period: match period {
                "s" => Period::Second,
                "m" => Period::Minute,
                "h" => Period::Hour,
                _ => return Err(refuse()),
            },
        })
    }

    fn number(&mut self, expected: &str, least: u32, most: u32) -> Result<u32, RuleError> {
        let word = self.word(expected)?;
        number(word)
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| RuleError::at(word, expected))
    }
}

/// A number in plain digits.
fn number(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Cuts a target into its host, without brackets, and its ports.
fn split_ports(word: &str) -> Result<(&str, Option<&str>), RuleError> {
    const IPV6: &str = "an IPv6 address or network in brackets, alone or with a port: [::1], \
                        [::1]:PORT, [2001:db8::/32]:PORT";
    let refuse = || RuleError::at(word, IPV6);
    if let Some(bracketed) = word.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(refuse)?;
        let ports = after.strip_prefix(':');
        let well_formed = host.contains(':') && (ports.is_some() || after.is_empty());
        return well_formed.then_some((host, ports)).ok_or_else(refuse);
    }
    match word.split_once(':') {
        // A second colon: an IPv6 address, which has no port unless it is in brackets.
        Some((_, rest)) if rest.contains(':') => Ok((word, None)),
        Some((host, ports)) => Ok((host, Some(ports))),
        None => Ok((word, None)),
    }
}

fn parse_ports(ports: &str, word: &str) -> Result<Ports, RuleError> {
    let port = |digits| {
        number(digits)
            .and_then(|number| u16::try_from(number).ok())
            .filter(|port| *port > 0)
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Ports { first, last }),
        _ => Err(RuleError::at(
            word,
            "a port from 1 to 65535 after the colon, or two with a hyphen, the smaller one first",
        )),
    }
}

fn host_pattern(host: &str) -> Result<HostPattern, RuleError> {
    if host.contains([':', '/', '%']) {
        return Ok(HostPattern::Network(Network::parse(host)?));
    }
    let stars = host.contains('*');
    if stars && host.chars().all(|c| matches!(c, '*' | '.')) {
        return Err(RuleError::at(host, "any, or a name with more than stars"));
    }
    if stars
        && host
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '*' | '.'))
    {
        let expected = "a network such as 10.0.0.0/24: stars are for names, not for addresses";
        return Err(RuleError::at(host, expected));
    }
    if host.len() <= MAX_NAME && is_name(host, |c| c.is_alphanumeric() || c == '*') {
        return Ok(HostPattern::Name(Wildcard::labels(host)));
    }
    match Network::parse(host) {
        Ok(network) => Ok(HostPattern::Network(network)),
        Err(_) => Err(RuleError::at(host, A_TARGET)),
    }
}

/// A name as a rule writes it: in quotes where it would not be one word, or a keyword.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name(name) = self;
        if KEYWORDS.contains(name) || name.contains(|c: char| c.is_whitespace() || c == ',') {
            write!(f, "\"{name}\"")
        } else {
            f.write_str(name)
        }
    }
}
