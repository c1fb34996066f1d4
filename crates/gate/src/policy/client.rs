//! Who asks: what is known of a client, and the part of a rule that is compared with it.

use std::fmt;

use super::network::Network;
use super::parse::Name;
use super::wildcard::Wildcard;
use crate::stream::Peer;

/// A client, as far as it is known.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it comes from.
    pub peer: Peer,
    /// The common name and the alternative names of its certificate, if that is trusted.
    pub certificate: Identity,
    /// The name that SASL has proved.
    pub sasl: Identity,
}

/// Names that a client has proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// None, and none will come.
    Absent,
    /// None so far, but the protocol may still bring some. Until then an `allow` rule takes the
    /// hoped-for name as given and a `deny` rule does not, so that a client gets as far as proving
    /// it; [`Policy::confirm`](super::Policy::confirm) then decides.
    Pending,
    /// These.
    Known(Vec<String>),
}

impl Client {
    /// A client of which only the connection is known.
    pub fn new(peer: Peer) -> Client {
        Client {
            peer,
            certificate: Identity::Absent,
            sasl: Identity::Absent,
        }
    }

    fn has_uid(&self, wanted: u32) -> bool {
        matches!(self.peer, Peer::Unix { uid, .. } if uid == wanted)
    }
}

impl Identity {
    fn matches(&self, wildcard: &Wildcard, hopeful: bool) -> bool {
        match self {
            Identity::Absent => false,
            Identity::Pending => hopeful,
            Identity::Known(names) => names.iter().any(|name| wildcard.matches(name)),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        match self {
            Identity::Absent => Ok(()),
            Identity::Pending => write!(f, " ({what} may follow)"),
            Identity::Known(names) => write!(f, " ({what} {names:?})"),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)?;
        self.certificate.describe(f, "certificate")?;
        self.sasl.describe(f, "sasl")
    }
}

/// One of the alternatives after `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientPattern {
    Any,
    Local,
    Network(Network),
    Uid(u32),
    User(User),
    Certificate(Wildcard),
    Sasl(Wildcard),
}

/// A user by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: Box<str>,
    /// Known once the rule belongs to a policy; until then nobody is this user.
    pub(super) uid: Option<u32>,
}

impl ClientPattern {
    /// Whether `client` is meant; `hopeful` says whether a pending name counts as the wanted one.
    pub(super) fn matches(&self, client: &Client, hopeful: bool) -> bool {
        match self {
            ClientPattern::Any => true,
            ClientPattern::Local => client.peer.is_local(),
            ClientPattern::Network(network) => {
                matches!(client.peer, Peer::Tcp(address) if network.contains(address.ip()))
            }
            ClientPattern::Uid(uid) => client.has_uid(*uid),
            ClientPattern::User(user) => user.uid.is_some_and(|uid| client.has_uid(uid)),
            ClientPattern::Certificate(names) => client.certificate.matches(names, hopeful),
            ClientPattern::Sasl(names) => client.sasl.matches(names, hopeful),
        }
    }
}

impl fmt::Display for ClientPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientPattern::Any => f.write_str("any"),
            ClientPattern::Local => f.write_str("local"),
            ClientPattern::Network(network) => network.fmt(f),
            ClientPattern::Uid(uid) => write!(f, "uid {uid}"),
            ClientPattern::User(user) => write!(f, "user {}", Name(&user.name)),
            ClientPattern::Certificate(names) => write!(f, "cert {}", Name(names.text())),
            ClientPattern::Sasl(names) => write!(f, "sasl {}", Name(names.text())),
        }
    }
}
