//! Which ports a line is for: `op dst_port`.

use crate::{Lookup, Problem};

/// The ports of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// The line says nothing about them.
    Any,
    /// From the first to the last.
    Range(u16, u16),
    /// All but one.
    Not(u16),
    /// No port is below 0 or above 65535.
    Never,
}

/// How a port is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Neq,
    Lt,
    Gt,
    Le,
    Ge,
}

impl Operator {
    /// Its keyword may be in any case.
    pub(crate) fn parse(text: &str) -> Option<Operator> {
        const KEYWORDS: [(&str, Operator); 6] = [
            ("eq", Operator::Eq),
            ("neq", Operator::Neq),
            ("lt", Operator::Lt),
            ("gt", Operator::Gt),
            ("le", Operator::Le),
            ("ge", Operator::Ge),
        ];
        let found = KEYWORDS
            .iter()
            .find(|(keyword, _)| text.eq_ignore_ascii_case(keyword));
        found.map(|(_, operator)| *operator)
    }

    /// The ports that compare so with this one.
    pub(crate) fn ports(self, port: u16) -> Ports {
        match self {
            Operator::Eq => Ports::Range(port, port),
            Operator::Neq => Ports::Not(port),
            Operator::Lt => port
                .checked_sub(1)
                .map_or(Ports::Never, |last| Ports::Range(0, last)),
            Operator::Gt => {
                let first = port.checked_add(1);
                first.map_or(Ports::Never, |first| Ports::Range(first, u16::MAX))
            }
            Operator::Le => Ports::Range(0, port),
            Operator::Ge => Ports::Range(port, u16::MAX),
        }
    }
}

impl Ports {
    pub(crate) fn contains(self, port: u16) -> bool {
        match self {
            Ports::Any => true,
            Ports::Range(first, last) => (first..=last).contains(&port),
            Ports::Not(other) => port != other,
            Ports::Never => false,
        }
    }

    /// Whether it contains no port at all.
    pub(crate) fn is_empty(self) -> bool {
        self == Ports::Never
    }

    /// Whether there is any port that it does not contain.
    pub(crate) fn is_some_only(self) -> bool {
        !matches!(self, Ports::Any | Ports::Range(0, u16::MAX))
    }
}

/// Reads `dst_port`: a number, or the name of a service.
pub(crate) fn parse_port(text: &str, lookup: &dyn Lookup) -> Result<u16, Problem> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| Problem::Port(text.to_owned()));
    }
    let port = lookup.service(text);
    port.ok_or_else(|| Problem::Service(text.to_owned()))
}
