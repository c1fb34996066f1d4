//! What a policy would say about a client and a host, for people to read.

use std::fmt;
use std::net::SocketAddr;

use super::{Client, Decision};

/// What the policy decides about each address of a host. It displays itself as a few lines.
#[derive(Debug)]
pub struct Explanation<'a> {
    pub(super) client: &'a Client,
    pub(super) host: &'a str,
    pub(super) decisions: Vec<(SocketAddr, Decision<'a>)>,
}

impl<'a> Explanation<'a> {
    /// Whether the client would be connected, as long as limits allow it.
    pub fn is_allowed(&self) -> bool {
        self.governing().is_some()
    }

    /// The decision about the first address that is allowed; its rule's limits apply.
    fn governing(&self) -> Option<&Decision<'a>> {
        let mut decisions = self.decisions.iter().map(|(_, decision)| decision);
        decisions.find(|decision| decision.is_allowed())
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { client, host, .. } = self;
        write!(f, "client {client} asks for {host:?}:")?;
        for (address, decision) in &self.decisions {
            write!(f, "\n  {address} is {decision}")?;
        }
        match self.governing() {
            None => write!(f, "\nIt is refused."),
            Some(Decision::Rule(listed)) if !listed.rule.limits.is_none() => {
                let number = listed.number;
                let limits = listed.rule.limits;
                write!(
                    f,
                    "\nIt is connected, within the limits of rule {number}:{limits}."
                )
            }
            Some(_) => write!(f, "\nIt is connected."),
        }
    }
}
