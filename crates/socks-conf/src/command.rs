//! The commands of lines: `: shell_cmd`, their substitutions, and when they may be run. Nothing
//! here runs them.

use std::fmt::Write;
use std::net::IpAddr;

use crate::{Problem, User};

/// A command for `/bin/sh -c`, with places for what is known of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What a `%` and a letter stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    ClientName,
    ClientAddress,
    Action,
    Process,
    Service,
    Port,
    Login,
    User,
    DestinationName,
    DestinationAddress,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `%A`: this host's name.
    pub client_name: &'a str,
    /// `%a`: the address that the connection comes from; its host's name where it is not known.
    pub client_address: Option<IpAddr>,
    /// `%p`: the program's process.
    pub pid: u32,
    /// `%s`: the port that it wants.
    pub port: u16,
    /// `%S`: the service that has this port, see [`service_name`](crate::service_name); the number
    /// where there is none.
    pub service: Option<&'a str>,
    /// `%U`: who logged in.
    pub login: &'a str,
    /// `%u`: the effective user, by name or else by number.
    pub user: User<'a>,
    /// `%Z`: the name that the program asked for; its address where it asked for none.
    pub name: Option<&'a str>,
    /// `%z`: the address that the program wants; its name where it is unknown.
    pub address: Option<IpAddr>,
}

/// Why a configuration's commands are not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// Nobody looked who can write the configuration.
    #[error("it is not known who can write the configuration")]
    Unknown,
    /// Somebody else can write it at any time.
    #[error("the configuration belongs to user {owner}, not to root or to user {user}")]
    Owner {
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others than the owner can write it.
    #[error(
        "the configuration has mode {mode:03o}, so others than its owner can write it (chmod go-w)"
    )]
    Writable {
        /// The permissions.
        mode: u32,
    },
}

impl Command {
    /// Reads `shell_cmd`.
    pub(crate) fn parse(text: &str) -> Result<Command, Problem> {
        if text.is_empty() {
            return Err(Problem::NoCommand);
        }
        if text.contains('\0') {
            return Err(Problem::Zero);
        }
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                literal.push(letter);
                continue;
            }
            match letters.next().ok_or(Problem::LastPercent)? {
                '%' => literal.push('%'),
                letter => {
                    let place = Place::of(letter).ok_or(Problem::Substitution(letter))?;
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(Part::Place(place));
                }
            }
        }
        parts.push(Part::Text(literal));
        Ok(Command { parts })
    }

    /// The text for the shell. What is put in has only letters, digits and `._:-` (anything else,
    /// a leading `-` and nothing at all become `_`): it means nothing to a shell, quoted or not.
    #[must_use]
    pub fn expand(&self, facts: &Facts<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Place(place) => place.fill(&mut text, facts),
            }
        }
        text
    }

    /// Whether it wants to know the name that the program asked for.
    pub(crate) fn tells_name(&self) -> bool {
        self.parts.contains(&Part::Place(Place::DestinationName))
    }
}

impl Place {
    fn of(letter: char) -> Option<Place> {
        Some(match letter {
            'A' => Place::ClientName,
            'a' => Place::ClientAddress,
            'c' => Place::Action,
            'p' => Place::Process,
            'S' => Place::Service,
            's' => Place::Port,
            'U' => Place::Login,
            'u' => Place::User,
            'Z' => Place::DestinationName,
            'z' => Place::DestinationAddress,
            _ => return None,
        })
    }

    fn fill(self, text: &mut String, facts: &Facts<'_>) {
        match self {
            Place::ClientName => push_inert(text, facts.client_name),
            Place::ClientAddress => match facts.client_address {
                Some(address) => push_inert(text, &address.to_string()),
                None => push_inert(text, facts.client_name),
            },
            Place::Action => text.push_str("connect"),
            Place::Process => push_number(text, facts.pid),
            Place::Port => push_number(text, facts.port.into()),
            Place::Service => match facts.service {
                Some(service) => push_inert(text, service),
                None => push_number(text, facts.port.into()),
            },
            Place::Login => push_inert(text, facts.login),
            Place::User => match facts.user.name {
                Some(name) => push_inert(text, name),
                None => push_number(text, facts.user.uid),
            },
            Place::DestinationName => match (facts.name, facts.address) {
                (None, Some(address)) => push_inert(text, &address.to_string()),
                (name, _) => push_inert(text, name.unwrap_or_default()),
            },
            Place::DestinationAddress => match facts.address {
                Some(address) => push_inert(text, &address.to_string()),
                None => push_inert(text, facts.name.unwrap_or_default()),
            },
        }
    }
}

fn push_number(text: &mut String, number: u32) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{number}");
}

/// Only what means nothing to a shell, in quotes or without: other people choose these values.
fn push_inert(text: &mut String, value: &str) {
    if value.is_empty() {
        // Without it the words behind would move up.
        text.push('_');
    }
    for (position, letter) in value.chars().enumerate() {
        let option = position == 0 && letter == '-';
        let inert = letter.is_ascii_alphanumeric() || "._:-".contains(letter);
        text.push(if inert && !option { letter } else { '_' });
    }
}
