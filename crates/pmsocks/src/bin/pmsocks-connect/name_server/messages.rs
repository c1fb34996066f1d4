//! One question to a name server, and what an answer to it says. No I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::rand::{GetRandomFlags, getrandom};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, Question, RCODE, TYPE};

/// How many names a chain of aliases may have.
const MAX_ALIASES: usize = 16;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn kind(self) -> TYPE {
        match self {
            Family::V4 => TYPE::A,
            Family::V6 => TYPE::AAAA,
        }
    }
}

/// A question.
#[derive(Debug)]
pub(super) struct Query {
    id: u16,
    host: String,
    family: Family,
    bytes: Vec<u8>,
}

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// There may be none: the name has no address of this family, or does not exist.
    Addresses(Vec<IpAddr>),
    /// The answer did not fit.
    Cut,
    /// The name server could not or would not answer, with its own word for it.
    Failure(String),
}

impl Query {
    /// `None` if the host's name is not one by DNS's rules.
    pub(super) fn new(host: &str, family: Family) -> Option<Query> {
        let name = Name::new(host).ok()?;
        if !name.is_valid_hostname() && !host.contains('_') {
            return None;
        }
        let mut id = [0; 2];
        // Without random numbers it would be a question that others can guess.
        getrandom(&mut id[..], GetRandomFlags::empty()).ok()?;
        let id = u16::from_ne_bytes(id);
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let class = QCLASS::CLASS(CLASS::IN);
        packet
            .questions
            .push(Question::new(name, family.kind().into(), class, false));
        Some(Query {
            id,
            host: host.to_owned(),
            family,
            bytes: packet.build_bytes_vec().ok()?,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the message answers; `None` if it is no answer to this question.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Answer> {
        let packet = Packet::parse(message).ok()?;
        if !self.is_answered_by(&packet) {
            return None;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Some(Answer::Cut);
        }
        Some(match packet.rcode() {
            RCODE::NoError => Answer::Addresses(self.addresses(&packet)),
            RCODE::NameError => Answer::Addresses(Vec::new()),
            other => Answer::Failure(format!("{other:?}")),
        })
    }

    fn is_answered_by(&self, packet: &Packet<'_>) -> bool {
        let asked = Name::new(&self.host).ok();
        packet.id() == self.id
            && packet.has_flags(PacketFlag::RESPONSE)
            && packet.questions.len() == 1
            && packet.questions.iter().all(|question| {
                Some(&question.qname) == asked.as_ref()
                    && question.qtype == self.family.kind().into()
            })
    }

    /// The addresses of the name, or of the one that it is an alias of. Records of other names don't
    /// count, whoever put them there.
    fn addresses(&self, packet: &Packet<'_>) -> Vec<IpAddr> {
        let Ok(mut name) = Name::new(&self.host) else {
            return Vec::new();
        };
        for _ in 0..MAX_ALIASES {
            let alias = packet
                .answers
                .iter()
                .find_map(|record| match &record.rdata {
                    RData::CNAME(target) if record.name == name => Some(target.0.clone()),
                    _ => None,
                });
            match alias {
                Some(target) => name = target,
                None => break,
            }
        }
        let of_the_name = packet.answers.iter().filter(|record| record.name == name);
        of_the_name
            .filter_map(|record| match &record.rdata {
                RData::A(address) => Some(Ipv4Addr::from(address.address).into()),
                RData::AAAA(address) => Some(Ipv6Addr::from(address.address).into()),
                _ => None,
            })
            .collect()
    }
}
